"""The table of who computes how fast, of a narrow model and small slices."""

import importlib
import json
import sys

import pytest

pytest.importorskip('onnxruntime')
pytest.importorskip('onnxscript')
SMALL = [
    'model.backbone.base_channels=8',
    'model.neck.in_channels=[64]',
    'model.test_cfg.rpn.max_per_img=8',
    'model.roi_head.roi_sequence.num_rois=2',
]


@pytest.fixture
def load_tool(repo, monkeypatch):
    """Import a script beside which others lie that it imports."""
    monkeypatch.syspath_prepend(repo / 'tools/analysis_tools')
    return importlib.import_module


def time_once(functions, rounds, device):
    """Call each once, and say that those of onnxruntime took half as long."""
    for function in functions.values():
        function()
    return {key: 0.25 if key[0] == 'onnxruntime' else 0.5 for key in functions}


@pytest.mark.slow
def test_inference(load_tool, repo, tmp_path, monkeypatch, capsys):
    tool = load_tool('benchmark_inference')
    monkeypatch.setattr(tool, 'time_in_turns', time_once)
    monkeypatch.setattr(tool, 'input_size', lambda config: (64, 64))
    config = str(repo / 'configs/phantom/one-shot_r18_fpn_lstm2_phantom.py')
    fixed = ['--device', 'cpu']

    def run(*args):
        monkeypatch.setattr(sys, 'argv', ['x', config, *fixed, *args, '--cfg-options', *SMALL])
        tool.main()
        return [line.split(' | ') for line in capsys.readouterr().out.splitlines()[2:]]

    options = ['--engines', 'onnxruntime', '--batch-sizes', '1', '2']
    rows = run(*options, '--out', str(tmp_path / 'first.json'))
    told = [(row[1], row[2], row[3], row[5]) for row in rows]
    tasks = ('lesions', 'no lesion', 'class')
    assert told == [
        *(('PyTorch, full', task, batch, speed) for batch, speed in (('1', '1.00×'), ('2', '2.00×'))
          for task in tasks),
        *(('onnxruntime', task, '1', '2.00×') for task in tasks),
    ]  # fmt: skip
    record = json.loads((tmp_path / 'first.json').read_text())
    assert record['software']['torch'] and len(record['rows']) == 9
    record['rows'][0]['speed'] = 3.0
    (tmp_path / 'first.json').write_text(json.dumps(record))
    rows = run('--batch-sizes', '1', '--against', str(tmp_path / 'first.json'))
    assert [row[-1] for row in rows][:2] == ['3.00× |', '1.00× |']


@pytest.mark.slow
def test_scan(load_tool, tmp_path, monkeypatch, capsys):
    tool = load_tool('benchmark_scan')
    args = ['--config', 'one-shot_r18_fpn_lstm2_phantom', '--device', 'cpu', '--slices', '2']
    for form in ([], ['--pictures']):
        out = tmp_path / 'figures.json'
        monkeypatch.setattr(sys, 'argv', ['x', *args, *form, '--size', '64', '--out', str(out)])
        tool.main()
        assert '2 slices of 64×64' in capsys.readouterr().out
        figures = json.loads(out.read_text())
        assert 0 < figures['seconds_in_network'] < figures['seconds']
