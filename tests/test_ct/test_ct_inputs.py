import cv2
import numpy as np
import pytest
import SimpleITK as sitk
from ct_utils import SERIES, chest, write_series, write_slice

from mmcovid.ct import InputKind, SlicePath, find_volumes, is_ct, kind_of
from mmcovid.ct.slices import slices_of


@pytest.fixture
def folder(tmp_path):
    """One input of each kind."""
    write_series(tmp_path / 'series', chest(2, 16))
    write_slice(tmp_path / 'a.dcm', chest(1, 16)[0])
    write_slice(tmp_path / '1.2.840.77', chest(1, 16)[0])
    sitk.WriteImage(sitk.GetImageFromArray(chest(2, 16)), str(tmp_path / 'scan.nrrd'))
    (tmp_path / 'pictures').mkdir()
    cv2.imwrite(str(tmp_path / 'pictures' / 'a.png'), np.zeros((8, 8), np.uint8))
    return tmp_path


@pytest.mark.parametrize(
    'name, kind',
    [
        ('pictures/a.png', 'PICTURE'),
        ('absent.png', 'PICTURE'),
        ('absent.dcm', 'PICTURE'),
        ('pictures/a.png#001', 'PICTURE'),
        ('a.dcm', 'DICOM'),
        ('1.2.840.77', 'DICOM'),
        ('scan.nrrd', 'VOLUME'),
        ('absent.NII.gz', 'VOLUME'),
        ('scan.nrrd#001', 'SLICE'),
        ('series', 'SERIES'),
        ('series/', 'SERIES'),
        (f'series#{SERIES}', 'SERIES'),
        (f'series#{SERIES}#001', 'SLICE'),
        ('series#001', 'SLICE'),
        ('pictures', 'FOLDER'),
    ],
)
def test_what_an_input_is(folder, name, kind):
    path = f'{folder}/{name}'
    assert kind_of(path) is InputKind[kind]
    assert kind_of(SlicePath.parse(path)) is InputKind[kind]
    assert is_ct(path) == (kind != 'PICTURE')


def test_volumes_of_a_folder(folder):
    (folder / 'gone.nrrd').symlink_to(folder / 'nowhere.nrrd')
    assert find_volumes(folder) == [str(folder / 'scan.nrrd'), str(folder / 'series')]


def test_slices_of_an_input(folder):
    scan = f'{folder}/scan.nrrd'
    assert slices_of(scan) == [f'{scan}#000', f'{scan}#001']
    for name in ('pictures/a.png', 'scan.nrrd#001', 'a.dcm', 'absent.nrrd', 'pictures'):
        assert slices_of(f'{folder}/{name}') == [f'{folder}/{name}']
