import logging
import os

import numpy as np
import pytest
import SimpleITK as sitk
from ct_utils import SERIES, chest, write_series, write_slice
from hypothesis import given
from hypothesis import strategies as st
from mmengine.logging import MMLogger

from mmcovid.ct import (
    CTVolume,
    SlicePath,
    find_region,
    find_slice,
    find_volumes,
    is_ct,
    list_slices,
    read_picture,
    read_volume,
)
from mmcovid.ct import slices as slices_module
from mmcovid.ct.volume import Grid

HU = chest()
names = st.text('ab#./1', min_size=1, max_size=8)


@pytest.fixture
def scan(tmp_path):
    path = tmp_path / 'scan.nrrd'
    sitk.WriteImage(sitk.GetImageFromArray(HU), str(path))
    return path


@given(names, st.none() | st.just('1.2.3'), st.none() | st.integers(0, 5000))
def test_names_of_slices_can_be_taken_apart(path, uid, index):
    path = f'absent/{path}.nii'
    assert SlicePath.parse(str(SlicePath(path, uid, index))) == (path, uid, index)


@pytest.mark.parametrize(
    'name, file',
    [
        ('a/scan.nrrd#012', 'a/scan_012.nrrd'),
        ('scan.nii.gz#3', 'scan_003.gz'),
        ('p.1/series#0', 'p.1/series_000.dcm'),
        ('s#1.2.3#1000', 's_1.2.3_1000.dcm'),
        ('p/series/#1', 'p/series_001.dcm'),
        ('a/b.png', 'a/b.png'),
        ('a.dcm', 'a.dcm'),
    ],
)
def test_names_of_files_about_slices(name, file):
    assert SlicePath.parse(name).as_file() == file


def test_a_file_of_such_a_name_comes_first(tmp_path):
    path = tmp_path / 'a#1'
    path.write_bytes(b'')
    assert SlicePath.parse(path) == (str(path), None, None)


def test_what_is_a_ct(tmp_path, scan):
    file = write_slice(tmp_path / '1.2.840.77', HU[0])
    for path in (scan, f'{scan}#001', file, tmp_path, 'absent.nii.gz', 'Absent.MHA#3'):
        assert is_ct(path), path
    for path in ('a.png', 'a.png#3', 'absent.dcm', 'absent', __file__):
        assert not is_ct(path), path


def test_slices_of_a_file_and_of_a_series(tmp_path, scan):
    folder = write_series(tmp_path / 'series', HU)
    for path in (scan, folder, f'{folder}#{SERIES}'):
        listed = list_slices(path)
        assert listed == [f'{path}#{i:03d}' for i in range(len(HU))]
        for name, plane in zip(listed, HU):
            volume, index = find_slice(name)
            np.testing.assert_array_equal(volume.array[index], plane)
    sagittal = sitk.GetImageFromArray(HU.transpose(2, 0, 1))  # as files of MR often are
    sagittal.SetDirection([0, 0, 1, 1, 0, 0, 0, 1, 0])
    sitk.WriteImage(sagittal, str(tmp_path / 'sagittal.nrrd'))
    assert len(list_slices(tmp_path / 'sagittal.nrrd')) == len(
        read_volume(tmp_path / 'sagittal.nrrd')
    )


def test_one_slice_has_the_name_of_its_file(tmp_path):
    path = write_slice(tmp_path / 'a.dcm', HU[0])
    assert list_slices(path) == [str(path)]
    assert read_picture(path).tolist() == read_picture(f'{path}#000').tolist()


@pytest.mark.parametrize('name', ['', '#005', '#99999'])
def test_slices_that_are_not_there(scan, name):
    with pytest.raises(ValueError, match=r'has 5 slices. Name one, from .*#000 to .*#004'):
        find_slice(f'{scan}{name}')


def test_volume_is_read_once_and_again_when_it_changes(scan, monkeypatch):
    reads = []
    monkeypatch.setattr(
        slices_module, 'read_volume', lambda *args: reads.append(args) or read_volume(*args)
    )
    for name in list_slices(scan):
        find_slice(name)
    assert len(reads) == 1
    sitk.WriteImage(sitk.GetImageFromArray(HU + 1), str(scan))
    os.utime(scan, (1, 1))
    assert find_slice(f'{scan}#000')[0].array[0, 0, 0] == HU[0, 0, 0] + 1

    scan.write_bytes(scan.read_bytes()[:500])
    for _ in range(3):  # a broken one is not tried again for each slice either
        with pytest.raises(ValueError, match='scan.nrrd: cannot be read'):
            find_slice(f'{scan}#000')
    assert len(reads) == 3


def test_values_that_look_like_no_hu_are_pointed_out(tmp_path, caplog):
    path = tmp_path / 'grey.nrrd'
    sitk.WriteImage(sitk.GetImageFromArray((HU + 1000).clip(0)), str(path))
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    try:
        find_slice(f'{path}#000')
        find_slice(f'{path}#001')
    finally:
        logger.removeHandler(caplog.handler)
    warned = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert len(warned) == 1 and 'grey.nrrd: its least value is' in warned[0].getMessage()


def test_volumes_of_a_folder(tmp_path, scan):
    folder = write_series(tmp_path / 'b_series', HU)
    (tmp_path / 'notes').mkdir()
    (tmp_path / 'picture.png').write_bytes(b'')
    assert find_volumes(tmp_path) == [str(folder), str(scan)]


def test_no_volume(tmp_path):
    (tmp_path / 'a.png').write_bytes(b'')
    with pytest.raises(ValueError, match='a.png: is no CT volume'):
        read_volume(tmp_path / 'a.png')
    with pytest.raises(ValueError, match='is one slice'):
        read_volume('scan.nrrd#001')


def test_regions(tmp_path):
    hu = chest(8, 128)
    hu[:1] = -1000  # air below the body
    hu[1:3][hu[1:3] < -500] = -20  # no lung in these
    hu[:, :, 120:] = -1000
    hu[1:, :20] = -1000
    image = sitk.GetImageFromArray(hu)
    image.SetSpacing([2.5, 2.5, 5])
    sitk.WriteImage(image, str(tmp_path / 'a.nrrd'))
    volume = read_volume(tmp_path / 'a.nrrd')
    assert find_region(volume, 'body') == range(1, 8)
    assert find_region(volume, 'lung') == range(3, 8)
    with pytest.raises(ValueError, match='a region is one of'):
        find_region(volume, 'brain')


def body_on_a_table(size=96, step=4.0):
    """(10, size, size), HU: a chest with lungs in slices 2 to 7, on foam that is dense as lung."""
    z, y, x = np.mgrid[:10, :size, :size]
    x, y = (x - size / 2) * step, (y - size / 2) * step  # mm
    hu = np.full(z.shape, -1000)
    hu[y > 110] = -930
    hu[(x / 170) ** 2 + (y / 120) ** 2 < 1] = 40
    for side in (-1, 1):
        lung = ((x - side * 80) / 62) ** 2 + (y / 85) ** 2 < 1 - ((z - 4.5) / 4) ** 2
        hu[lung] = -850
    hu += np.random.default_rng(0).normal(0, 20, hu.shape).astype(int)
    return hu.astype(np.int16)


def lungs_of(hu, step=4.0):
    grid = Grid(np.array([step, step, 10.0]), np.zeros(3), np.eye(3))
    return find_region(CTVolume(hu, grid, grid), 'lung')


@pytest.mark.parametrize(
    'rows, columns', [(0, 0), (10, 10), (0, 14), (24, 6), (20, 20), (26, 0), (30, 20)]
)
def test_lungs_that_the_image_cuts(rows, columns):
    hu = body_on_a_table()
    whole = lungs_of(hu)
    assert whole == range(1, 9)
    assert lungs_of(hu[:, rows : 96 - rows, columns : 96 - columns]) == whole


@pytest.mark.parametrize('radius', [46, 30])
def test_lungs_in_the_circle_of_a_scanner(radius):
    """The small circle cuts the lungs; around it are values below air."""
    y, x = np.mgrid[:96, :96] - 47.5
    hu = np.where(x**2 + y**2 < radius**2, body_on_a_table(), -2048)
    assert lungs_of(hu) == range(1, 9)


@pytest.mark.parametrize('crop', [0, 20, 30])
def test_neither_the_air_around_a_body_nor_the_table_is_lung(crop):
    hu = body_on_a_table()
    hu[2:5][(hu[2:5] > -900) & (hu[2:5] < -500)] = 40
    assert lungs_of(hu[:, :, crop : 96 - crop]) == range(5, 9)
