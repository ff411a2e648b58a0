import os

import cv2
import numpy as np
import SimpleITK as sitk
from ct_utils import chest, write_series, write_slice
from hypothesis import given
from hypothesis import strategies as st

from mmcovid.scans import Scan, find_scans
from mmcovid.scans.inputs import _name

PICTURE = np.full((8, 8), 90, np.uint8)


def write_volume(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.GetImageFromArray(chest(2, 16)), str(path))
    return path


def test_what_is_one_scan(tmp_path):
    pictures = tmp_path / 'patient.7'
    pictures.mkdir()
    for name in ('10.png', '2.png', '1.PNG'):
        cv2.imwrite(str(pictures / name), PICTURE)
    (pictures / 'notes.txt').write_text('')
    series = write_series(tmp_path / 'series', chest(2, 16))
    file = write_slice(tmp_path / 'one.dcm', chest(1, 16)[0])
    volume = write_volume(tmp_path / 'scan.nii.gz')
    scans, failures = find_scans([pictures, f'{series}/', file, volume, pictures / '2.png', volume])
    assert not failures
    assert scans == {
        'patient.7': Scan(
            str(pictures), tuple(f'{pictures}/{name}' for name in ('1.PNG', '2.png', '10.png'))
        ),
        'series': Scan(str(series)),
        'one': Scan(str(file)),
        'scan': Scan(str(volume)),
        '2': Scan(f'{pictures}/2.png', (f'{pictures}/2.png',)),
    }


def test_folders_of_several_scans(tmp_path):
    write_volume(tmp_path / 'scans' / 'a.nrrd')
    write_volume(tmp_path / 'scans' / 'B.MHA')
    series = write_series(tmp_path / 'scans' / 'dicom', chest(2, 16))
    write_series(series, chest(2, 16), names=['x.dcm', 'y.dcm'], uid='1.2.77')
    scans, failures = find_scans([tmp_path / 'scans'])
    assert not failures
    assert list(scans) == ['B', 'a', 'dicom_1.2.77', 'dicom_1.2.826.0.1.3680043.8.498.1']
    assert scans['dicom_1.2.77'].path == f'{series}#1.2.77'
    assert list(find_scans([f'{series}#1.2.77'])[0]) == ['dicom_1.2.77']


def test_inputs_that_are_no_scan_are_named_and_the_others_stay(tmp_path):
    (tmp_path / 'void').mkdir()
    mixed = tmp_path / 'mixed'
    volume = write_volume(mixed / 'a.nrrd')
    cv2.imwrite(str(mixed / 'b.png'), PICTURE)
    broken = tmp_path / 'both' / 'broken'
    write_series(broken, chest(2, 16))
    (broken / 'bad.dcm').write_bytes(b'no DICOM')
    write_volume(tmp_path / 'both' / 'good.nrrd')
    items = [tmp_path / 'absent', tmp_path / 'void', mixed, f'{volume}#001', tmp_path / 'both']
    scans, failures = find_scans(items)
    assert list(scans) == ['good']
    assert [failure.input for failure in failures] == [*map(str, items[:4]), str(broken)]
    for failure, reason in zip(
        failures,
        [
            'no such file',
            'sub-folders',
            '1 pictures beside 1 volumes',
            'Give the whole scan',
            'cannot be read as a DICOM',
        ],
    ):
        assert reason in failure.reason


def test_inputs_of_one_name_do_not_collide(tmp_path):
    items = [write_volume(tmp_path / name) for name in ('a/scan.nii', 'b/scan.nii', 'b/scan.nrrd')]
    scans, _ = find_scans(items)
    assert {name: scan.path for name, scan in scans.items()} == dict(
        zip(('a__scan.nii', 'b__scan.nii', 'b__scan.nrrd'), map(str, items))
    )


part = st.text('ab_.', min_size=1, max_size=3).filter(lambda name: set(name) != {'.'})


@given(
    st.lists(
        st.tuples(
            st.lists(part, max_size=2), part, st.sampled_from(['.nii', '.nii.gz', '.nrrd', '.png'])
        ),
        max_size=6,
    )
)
def test_every_scan_has_a_folder_of_its_own(drawn):
    paths = dict.fromkeys('/'.join([*folders, name + suffix]) for folders, name, suffix in drawn)
    named = _name([Scan(path) for path in paths])
    assert [scan.path for scan in named.values()] == list(paths)
    assert all(name and os.sep not in name and name not in ('.', '..') for name in named)
