import numpy as np
import pytest
import SimpleITK as sitk
from ct_utils import chest, write_series
from mmdet.registry import DATASETS
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader

from mmcovid.ct import apply_window, read_volume
from mmcovid.datasets import LesionDataset, TwoTaskDataset, VolumeDataset

HU = chest()
PIPELINE = [
    dict(type='mmcovid.LoadImageFromFile', color_type='unchanged'),
    dict(type='mmcovid.ToThreeChannels'),
    dict(type='mmcovid.PackSliceInputs'),
]


@pytest.fixture
def root(tmp_path):
    """Two files and a series of five slices each, with different values."""
    folder = tmp_path / 'volumes'
    folder.mkdir()
    for i, name in enumerate(('a.nrrd', 'c.mha')):
        sitk.WriteImage(sitk.GetImageFromArray(HU + i), str(folder / name))
    write_series(folder / 'b', HU + 2)
    return tmp_path


def build(root, **options):
    return DATASETS.build(
        dict(
            type='mmcovid.VolumeDataset',
            data_root=str(root),
            data_prefix=dict(img='volumes'),
            pipeline=PIPELINE,
            test_mode=True,
            **options,
        )
    )


def write_list(root, *lines):
    (root / 'list.txt').write_text('\n'.join(lines))
    return 'list.txt'


def test_folder(root):
    dataset = build(root)
    assert len(dataset) == 15
    for i in range(15):
        packed = dataset[i]
        scan, index = ('a.nrrd', 'b', 'c.mha')[i // 5], i % 5
        hu = HU[index] + (0, 2, 1)[i // 5]
        assert (packed['inputs'][0].numpy() == apply_window(hu)).all()
        sample = packed['data_samples']
        assert sample.img_path == str(root / 'volumes' / f'{scan}#{index:03d}')
        assert (sample.task, sample.scan_id, sample.patient_id) == ('scan', scan, scan)
        assert sample.window == (-600, 1500) and sample.slice_index == index
        assert sample.spacing == read_volume(root / 'volumes' / scan).spacing
        assert 'gt_label' not in sample
    assert dataset.metainfo['classes'] == LesionDataset.METAINFO['classes']


def test_each_volume_is_read_once(root, monkeypatch):
    reads = []
    monkeypatch.setattr(
        'mmcovid.ct.slices.read_volume', lambda *args: reads.append(args) or read_volume(*args)
    )
    dataset = build(root)
    assert [dataset[i] for i in range(15)] and len(reads) == 3


def test_list_with_classes(root):
    dataset = build(root, ann_file=write_list(root, 'b 2', '', 'a.nrrd 0'), step=2)
    assert [dataset.get_data_info(i)['gt_label'] for i in range(6)] == [2, 2, 2, 0, 0, 0]
    sample = dataset[4]['data_samples']
    assert sample.img_path.endswith('a.nrrd#002')
    assert sample.task == 'cls' and sample.gt_label.tolist() == [0]


@pytest.mark.parametrize(
    'lines, error, message',
    [
        (['a.nrrd 3'], ValueError, 'not below 3'),
        (['a.nrrd 1', 'b'], ValueError, 'some have none'),
        (['a.nrrd', 'a.nrrd'], ValueError, 'listed twice'),
        ([], FileNotFoundError, 'no volume'),
        (['../out.nrrd'], ValueError, 'leave .*volumes'),
        (['/out.nrrd 1'], ValueError, 'leave '),
        (['absent.nrrd'], ValueError, 'absent.nrrd: no such file'),
    ],
)
def test_lists_that_cannot_be_used(root, lines, error, message):
    with pytest.raises(error, match=message):
        build(root, ann_file=write_list(root, *lines))


def test_broken_volumes_are_named_or_counted(root):
    (root / 'volumes' / 'd.nii').write_bytes(b'')
    (root / 'volumes' / 'b' / '010.dcm').write_bytes(b'')
    with pytest.raises(ValueError, match=r'2: .*010\.dcm.*d\.nii.*skip_broken'):
        build(root)
    assert len(build(root, skip_broken=True)) == 10


def test_region(root):
    empty = sitk.GetImageFromArray(np.full((3, 8, 8), -1000, np.int16))
    sitk.WriteImage(empty, str(root / 'volumes' / 'd.nrrd'))
    with pytest.raises(ValueError, match='d.nrrd: no slice shows the body'):
        build(root, region='body', skip_broken=False)


def test_folders_that_are_missing_or_empty(tmp_path):
    (tmp_path / 'volumes').mkdir()
    with pytest.raises(FileNotFoundError, match='no volume found'):
        build(tmp_path)
    with pytest.raises(FileNotFoundError, match='no such folder'):
        build(tmp_path / 'absent')
    with pytest.raises(FileNotFoundError, match='no such list'):
        build(tmp_path, ann_file='absent.txt')


def test_in_place_of_the_slice_set(root):
    dataset = TwoTaskDataset(
        cls=dict(
            type='mmcovid.VolumeDataset',
            data_root=str(root),
            data_prefix=dict(img='volumes'),
            test_mode=True,
        ),
        pipeline=PIPELINE,
    )
    assert len(dataset) == 15
    assert dataset.metainfo['classes'] == LesionDataset.METAINFO['classes']
    assert dataset.metainfo['image_classes'] == VolumeDataset.METAINFO['image_classes']


def test_workers_that_are_forked_after_a_volume_was_read(root):
    dataset = build(root)
    dataset[0]
    loader = DataLoader(
        dataset,
        num_workers=2,
        collate_fn=pseudo_collate,
        timeout=60,
        multiprocessing_context='fork',
    )
    assert sum(len(batch['inputs']) for batch in loader) == 15
