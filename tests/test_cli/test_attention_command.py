import csv
import json

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.runner import save_checkpoint

from mmcovid.cli import attention as attention_report
from mmcovid.data_tools.phantom.dataset import SplitSize, write_phantom_set


@pytest.fixture(scope='module')
def setting(tmp_path_factory):
    """Data, and a config and random weights of a small LSTM-2 model for it."""
    root = tmp_path_factory.mktemp('attention')
    data = root / 'phantom'
    write_phantom_set(
        data,
        dict(test=SplitSize(1, 2)),
        dict(test=SplitSize(1, 1)),
        SplitSize(1, 2),
        size=96,
        show_progress=False,
    )
    path = root / 'small.py'
    path.write_text(
        """
_base_ = 'mmcovid::phantom/one-shot_r18_fpn_lstm2_phantom.py'
model = dict(
    roi_head=dict(roi_sequence=dict(num_rois=4)), test_cfg=dict(rcnn=dict(max_per_img=6)))
"""
        + f"""
data_root = '{data}/'
test_dataloader = dict(
    num_workers=0, persistent_workers=False,
    dataset=dict(seg=dict(data_root=data_root), cls=dict(data_root=data_root)))
"""
    )
    config = Config.fromfile(path)
    for transform in config.test_dataloader.dataset.pipeline:
        if transform.type == 'Resize':
            transform.scale = (96, 96)
    config.dump(path)
    torch.manual_seed(0)
    checkpoint = root / 'random.pth'
    save_checkpoint(
        dict(meta={}, state_dict=MODELS.build(config.model).state_dict()), str(checkpoint)
    )
    return path, checkpoint


def run(setting, out, *options):
    attention_report.main(
        [
            *map(str, setting),
            '--out',
            str(out),
            '--device',
            'cpu',
            '--rounds',
            '20',
            '--draws',
            '2',
            '--drop',
            '2',
            '1',
            '8',
            *options,
        ]
    )


def read_rows(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def test_report_is_written_the_same_every_time(setting, tmp_path, capsys):
    for name in ('one', 'other'):
        run(setting, tmp_path / name, '--gallery', '2')
    out = capsys.readouterr().out
    assert 'cls, 1 dropped by class-relevant, score falls by' in out
    assert 'note: slices with class labels: 8 RoIs are not dropped from 6 of 6 slices' in out

    one, other = (
        {
            path.relative_to(tmp_path / name): path.read_bytes()
            for path in (tmp_path / name).rglob('*.*')
        }
        for name in ('one', 'other')
    )
    assert one == other
    assert {'attention_report.html', 'attention.json', 'attention.csv', 'deletion.csv'} < {
        str(path) for path in one
    }
    data = json.loads((tmp_path / 'one/attention.json').read_text())
    assert data['sets']['cls']['set']['slices'] == 6
    assert data['sets']['seg']['set']['patients'] == 2
    rows = read_rows(tmp_path / 'one/attention.csv')
    assert len(rows) == (6 + 2) * 4
    assert sum(float(row['class_relevant']) for row in rows) == pytest.approx(8, abs=1e-4)
    assert len(read_rows(tmp_path / 'one/deletion.csv')) == 8 * 2 * 7
    page = (tmp_path / 'one/attention_report.html').read_text()
    assert page.count('data:image/jpeg') == 2
    assert '://' not in page.replace('http://www.w3.org', '')


def test_some_slices_of_one_set(setting, tmp_path, capsys):
    run(
        setting,
        tmp_path / 'out',
        '--max-slices',
        '3',
        '--gallery',
        '0',
        '--cfg-options',
        'test_dataloader.dataset.seg=None',
    )
    assert '3 of 6 slices, drawn with seed 0' in capsys.readouterr().out
    data = json.loads((tmp_path / 'out/attention.json').read_text())
    assert list(data['sets']) == ['cls'] and data['sets']['cls']['set']['slices'] == 3


def test_errors_name_file_and_remedy(setting, tmp_path, repo):
    config, checkpoint = setting
    with pytest.raises(SystemExit, match='none.pth'):
        run((config, tmp_path / 'none.pth'), tmp_path / 'out')
    with pytest.raises(SystemExit, match='none.py'):
        run((tmp_path / 'none.py', checkpoint), tmp_path / 'out')
    empty = tmp_path / 'empty.pth'
    save_checkpoint(dict(meta={}, state_dict={}), str(empty))
    affinity = repo / 'configs/phantom/one-shot_r18_fpn_affinity64_phantom.py'
    with pytest.raises(SystemExit, match='the Affinity model has no attention'):
        run((affinity, empty), tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_wrong_arguments(capsys):
    for options in (['--drop', '0'], ['--draws', '0'], ['--max-slices', '0'], ['--gallery', '-1']):
        with pytest.raises(SystemExit):
            attention_report.parse_args(['a.py', 'a.pth', '--out', 'out', *options])
    assert 'must be at least 1' in capsys.readouterr().err
