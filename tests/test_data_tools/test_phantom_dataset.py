import json

import numpy as np
import pytest

from mmcovid.ct import read_volume
from mmcovid.data_tools.phantom.dataset import SplitSize, write_phantom_set
from mmcovid.data_tools.slice_names import parse_slice_name
from mmcovid.datasets import LesionDataset, SliceDataset, VolumeDataset

SLICES = dict(train=SplitSize(2, 2), test=SplitSize(1, 1))
LESIONS = dict(train=SplitSize(1, 3), test=SplitSize(1, 1))
SCANS = SplitSize(1, 5)


def write(out_dir, seed=0, **kwargs):
    return write_phantom_set(
        out_dir, SLICES, LESIONS, SCANS, size=128, seed=seed, show_progress=False, **kwargs
    )


def contents(out_dir):
    return {
        path.relative_to(out_dir): path.read_bytes()
        for path in out_dir.rglob('*')
        if path.is_file()
    }


@pytest.fixture(scope='module')
def phantom(tmp_path_factory):
    out_dir = tmp_path_factory.mktemp('data') / 'phantom'
    return out_dir, write(out_dir)


def test_totals(phantom):
    slices, lesions = phantom[1]
    assert slices == dict(train=12, test=3)
    assert lesions['lesions_train'][:3] == (6, 2, 2)
    assert lesions['lesions_test'][:3] == (2, 2, 0)


def test_datasets_read_it(phantom):
    out_dir = str(phantom[0])
    slices = SliceDataset(
        'covidx_ct/train_phantom.txt',
        data_root=out_dir,
        data_prefix=dict(img='covidx_ct/2A_images/'),
    )
    assert len(slices) == 12
    for info in slices:
        assert info['gt_label'] == parse_slice_name(info['img_id']).label
    lesions = LesionDataset(
        ann_file='annotations/lesions_train.json',
        data_root=out_dir,
        data_prefix=dict(img='ct_lesion_seg/image/'),
    )
    assert len(lesions) == 6
    labels = {each['bbox_label'] for info in lesions for each in info['instances']}
    assert labels == {0, 1, 2}


def test_boxes_of_the_list_hold_the_body(phantom):
    for line in (phantom[0] / 'covidx_ct' / 'test_phantom.txt').read_text().splitlines():
        left, top, right, bottom = map(int, line.split()[2:])
        assert 0 <= left < 30 and 98 < right < 128
        assert 0 <= top < 50 and 78 < bottom < 128


def test_patients_are_apart(phantom):
    groups = []
    for split in SLICES:
        lines = (phantom[0] / 'covidx_ct' / f'{split}_phantom.txt').read_text().splitlines()
        groups.append({parse_slice_name(line.split()[0]).patient_id for line in lines})
    for split in LESIONS:
        coco = json.loads((phantom[0] / 'annotations' / f'lesions_{split}.json').read_text())
        groups.append({image['patient_id'] for image in coco['images']})
    assert [len(group) for group in groups] == [6, 3, 2, 2]
    assert len(set.union(*groups)) == 13


def test_scans_are_chests_in_hu_with_their_masks_on_the_same_grid(phantom):
    folder = phantom[0] / 'scans'
    lines = (folder / 'scans.txt').read_text().splitlines()
    assert [line.split()[1] for line in lines] == ['0', '1', '2']
    found = []
    for line in lines:
        scan, truth = (read_volume(path / line.split()[0]) for path in (folder, folder / 'masks'))
        assert scan.array.shape == (5, 128, 128) and scan.array.dtype == np.int16
        assert scan.spacing == pytest.approx((360 / 128, 360 / 128, 48))
        for a, b in zip(scan.stored, truth.stored):
            np.testing.assert_array_equal(a, b)
        mask = truth.array
        assert -950 < np.median(scan.array[mask == 1]) < -600
        lungs = (mask > 0).sum(axis=(1, 2))
        assert lungs[-1] < lungs[2]  # the apex is last: slices run from the feet to the head
        found.append(set(np.unique(mask)))
    assert found[0] == {0, 1} and {1, 3} <= found[1] and {1, 2} <= found[2]
    dataset = VolumeDataset('scans.txt', data_root=str(folder))
    assert [dataset.get_data_info(i)['gt_label'] for i in (0, 5, 10)] == [0, 1, 2]


def test_bytes_follow_the_seed(phantom, tmp_path):
    write(tmp_path / 'again')
    write(tmp_path / 'other', seed=1)
    first, again, other = map(contents, (phantom[0], tmp_path / 'again', tmp_path / 'other'))
    assert first == again
    assert first.keys() == other.keys()
    assert all(first[name] != other[name] for name in first if name.suffix in ('.jpg', '.json'))
    assert sorted(path.name for path in tmp_path.iterdir()) == ['again', 'other']  # no leftovers


def test_only_a_phantom_set_is_overwritten(phantom, tmp_path):
    (tmp_path / 'thesis.tex').write_text('precious')
    for overwrite, message in ((False, 'not empty'), (True, 'not a phantom set')):
        with pytest.raises(FileExistsError, match=message):
            write(tmp_path, overwrite=overwrite)
    with pytest.raises(FileExistsError, match='--overwrite'):
        write(phantom[0])
    write(tmp_path / 'set', seed=1)
    write(tmp_path / 'set', overwrite=True)
    assert contents(tmp_path / 'set') == contents(phantom[0])
    assert (tmp_path / 'thesis.tex').read_text() == 'precious'


def test_nothing_is_left_when_it_fails(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError('disk full')

    monkeypatch.setattr('mmcovid.data_tools.phantom.dataset.write_lesion_annotations', fail)
    with pytest.raises(OSError, match='disk full'):
        write(tmp_path / 'set')
    assert not list(tmp_path.iterdir())


def test_sizes_that_make_no_set(tmp_path):
    with pytest.raises(ValueError, match='at least 64'):
        write_phantom_set(tmp_path / 'set', size=32)
    with pytest.raises(ValueError, match='at least 1 patient'):
        write_phantom_set(tmp_path / 'set', dict(train=SplitSize(0, 2)))
    with pytest.raises(ValueError, match='at least 1 slice'):
        write_phantom_set(tmp_path / 'set', scans=SplitSize(1, 0))


def test_shares_of_diseased_slices_are_given_in_turn(tmp_path):
    write_phantom_set(
        tmp_path / 'set',
        dict(train=SplitSize(1, 1)),
        dict(train=SplitSize(1, 1)),
        SplitSize(3, 20),
        size=64,
        show_progress=False,
        affected_shares=(0.2, 0.6),
    )
    folder = tmp_path / 'set' / 'scans'
    shares = [
        (read_volume(folder / 'masks' / line.split()[0]).array > 1).any((1, 2)).mean()
        for line in (folder / 'scans.txt').read_text().splitlines()
    ]
    assert shares[:3] == [0, 0, 0]
    assert np.round(np.array(shares[3:]) / 0.2).tolist() == [1, 3, 1, 1, 3, 1]
    assert json.loads((tmp_path / 'set' / 'phantom.json').read_text())['affected_shares']
