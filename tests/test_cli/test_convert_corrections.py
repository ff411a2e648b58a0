import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from ct_utils import chest
from mmengine.config import Config
from mmengine.runner import Runner

from mmcovid.cli import main
from mmcovid.cli.convert_corrections import parse_args
from mmcovid.data_tools.phantom.dataset import SplitSize, write_phantom_set


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with a scan, a label map and a corrected one."""
    monkeypatch.chdir(tmp_path)
    labels = np.zeros((4, 64, 64), np.uint8)
    labels[1:, 10:50, 10:50] = 1
    sitk.WriteImage(sitk.GetImageFromArray(chest(4, 64)), 'scan.nrrd')
    sitk.WriteImage(sitk.GetImageFromArray(labels), 'labels.nrrd')
    labels[2, 20:40, 20:40] = 2
    labels[3, 20:40, 20:40] = 3
    sitk.WriteImage(sitk.GetImageFromArray(labels), 'corrected.nrrd')
    return tmp_path


def convert(*args):
    return main(['convert', 'corrections', *args])


def test_one_scan(folder, capsys):
    scan = 'scan.nrrd', 'corrected.nrrd', '--out', 'out'
    convert(*scan, '--original', 'labels.nrrd', '--patient', '7', '--dry-run')
    assert 'nothing written' in capsys.readouterr().out and not Path('out').exists()
    convert(*scan, '--original', 'labels.nrrd', '--patient', '7')
    printed = capsys.readouterr().out
    assert 'scan.nrrd: 4 slices, 2 of them changed by the reader; left out: 1 without' in printed
    assert 'consolidation: 1 instances in 1 slices of 1 patients' in printed
    coco = json.loads(Path('out/annotations/lesions_corrected.json').read_text())
    assert {image['patient_id'] for image in coco['images']} == {'7'}
    with pytest.raises(SystemExit, match='out: exists already'):
        convert(*scan)
    # its layout is that of the lesion set
    main(['convert', 'cncb-lesions', 'out', '--out', 'again', '--min-area', '1'])
    again = json.loads(Path('again/lesions_all.json').read_text())
    assert [each['file_name'] for each in again['images']] == [
        each['file_name'] for each in coco['images']
    ]
    assert main(['verify', 'again/lesions_all.json']) == 0


def test_a_list_and_names(folder):
    Path('list.csv').write_text('scan,labels\nscan.nrrd,corrected.nrrd\n')
    convert('list.csv', '--out', 'out', '--name', '3=ggo', '--name', '2=none')
    coco = json.loads(Path('out/annotations/lesions_corrected.json').read_text())
    assert [each['category_id'] for each in coco['annotations']] == [1, 1, 1, 2]
    assert {image['patient_id'] for image in coco['images']} == {'scan'}


@pytest.mark.parametrize(
    'args, message',
    [
        (['scan.nrrd'], 'give the corrected label map after the scan'),
        (['list.csv', '--patient', '7'], 'a list has columns for them'),
        (['scan.nrrd', 'a.nrrd', '--name', 'ggo'], 'is not of the form SEGMENT=CLASS'),
    ],
)
def test_wrong_arguments(args, message, capsys):
    with pytest.raises(SystemExit):
        parse_args([*args, '--out', 'out'])
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_a_training_goes_on_with_them(folder, repo):
    """As the documentation has it: beside the lesion set, a third source of each batch."""
    convert('scan.nrrd', 'corrected.nrrd', '--out', 'data/corrections')
    sizes = dict.fromkeys(('train', 'val', 'test'), SplitSize(1, 2))
    write_phantom_set(
        folder / 'data/phantom', sizes, sizes, SplitSize(0, 1), size=64, show_progress=False
    )
    Path('mine.py').write_text(
        f"""
_base_ = '{repo}/configs/phantom/one-shot_r18_fpn_lstm2_phantom.py'

lesions = _base_.train_dataloader.dataset.seg
corrections = dict(
    lesions,
    data_root='data/corrections/',
    ann_file='annotations/lesions_corrected.json',
    data_prefix=dict(img='image/'),
)
train_dataloader = dict(
    batch_size=4,
    sampler=dict(batch_size=4, source_ratio=[1, 1, 2]),
    dataset=dict(seg=[lesions, corrections]),
)
"""
    )
    config = Config.fromfile('mine.py')
    config.train_dataloader.update(num_workers=0, persistent_workers=False)
    for part in (*config.train_dataloader.dataset.seg, config.train_dataloader.dataset.cls):
        for transform in part.pipeline:
            if transform.type == 'Resize':
                transform.scale = (64, 64)
    config.update(val_cfg=None, val_dataloader=None, val_evaluator=None)
    config.train_cfg.max_iters = 2
    config.default_hooks.checkpoint.update(interval=9, save_last=False, save_best=None)
    config.work_dir = 'work'
    runner = Runner.from_cfg(config)
    runner.train()
    assert [len(each) for each in runner.train_dataloader.dataset.datasets][:2] == [4, 3]
    assert runner.iter == 2
    assert main(['verify', 'mine.py', '--out', 'verified']) == 0
    checked = json.loads(Path('verified/verification.json').read_text())
    assert any('lesions_corrected' in str(each) for each in checked['sets'])
