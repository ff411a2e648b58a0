import pytest
import torch
from deployment_utils import tiny_config, tiny_inferencer
from tools_utils import load_tool

from mmcovid.cli import export as export_command

for package in ('distributed', 'onnx', 'onnxruntime', 'onnxscript'):
    pytest.importorskip(package)


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore')
def test_check_of_a_few_scans(tmp_path, capsys):
    config = tiny_config()
    config.dump(tmp_path / 'tiny.py')
    weights = tiny_inferencer(config, seed=1).model.state_dict()
    torch.save(dict(state_dict=weights, meta={}), tmp_path / 'tiny.pth')
    model = str(tmp_path / 'tiny.onnx')
    export_command.main(
        [str(tmp_path / 'tiny.pth'), '--config', str(tmp_path / 'tiny.py'), '--out', model]
    )
    tool = load_tool('misc/cohort_check')
    sizes = dict(scans=6, slices=2, rounds=1, lines=20) | {'timed-scans': 2}
    options = [part for name, size in sizes.items() for part in (f'--{name}', str(size))]
    assert tool.main([model, str(tmp_path / 'out'), *options]) == 0
    printed = capsys.readouterr().out
    assert '6 folders, 6 lines; all as undisturbed' in printed
    assert 'ratios of the rounds' in printed and '20 lines: ' in printed


def test_what_differs_is_told(tmp_path):
    tool = load_tool('misc/cohort_check')
    line = 'scan,status,created\na,ok,\n'
    for name in ('alone', 'disturbed'):
        (tmp_path / name / 'a').mkdir(parents=True)
        (tmp_path / name / 'summary.csv').write_text(line)
        (tmp_path / name / 'a' / 'results.json').write_text(f'{{"created": "{name}", "n": 1}}')
    assert tool.read_run(tmp_path / 'alone') == tool.read_run(tmp_path / 'disturbed')
    (tmp_path / 'disturbed' / 'a' / 'lung.nii.gz').write_bytes(b'other')
    assert tool.read_run(tmp_path / 'alone') != tool.read_run(tmp_path / 'disturbed')
    (tmp_path / 'disturbed' / '.a.1.tmp').mkdir()  # a folder that is no scan
    with pytest.raises(FileNotFoundError, match='results.json'):
        tool.read_run(tmp_path / 'disturbed')
