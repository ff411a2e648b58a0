import sys

import numpy as np
import pytest
import SimpleITK as sitk
from ct_utils import chest, write_series
from pydicom import dcmread

from mmcovid.classes import Classes
from mmcovid.ct import read_segments, read_volume, write_mask
from mmcovid.results import ModelInfo
from mmcovid.scans.dicom_seg import write_dicom_seg
from mmcovid.scans.dicom_series import read_images

SHAPE = (4, 16, 18)
SPACING, ORIGIN = (0.7, 0.9, 2.5), (-100, 20, 33.5)
TURNED = np.diag([-1.0, -1, 1])  # as NIfTI files often are


def write(path, array, direction=TURNED, spacing=SPACING, origin=ORIGIN, **fields):
    image = sitk.GetImageFromArray(array, isVector=array.ndim == 4)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    image.SetDirection(np.ravel(direction).tolist())
    for key, value in fields.items():
        image.SetMetaData(key, value)
    sitk.WriteImage(image, str(path), useCompression=True)
    return path


@pytest.fixture
def labels():
    """Values 0 to 3 as stored."""
    return np.random.default_rng(0).integers(0, 4, SHAPE).astype(np.uint8)


@pytest.fixture
def volume(tmp_path):
    hu = np.random.default_rng(1).integers(-1000, 400, SHAPE).astype(np.int16)
    return read_volume(write(tmp_path / 'scan.nrrd', hu))


def read(path, volume):
    return {name: mask for name, mask in read_segments(path, volume)}


@pytest.mark.parametrize('suffix', ['.nii', '.nii.gz', '.nrrd', '.mha'])
@pytest.mark.parametrize('dtype', [np.uint8, np.int16, np.float32])
def test_values_of_a_label_map(tmp_path, labels, volume, suffix, dtype):
    found = read(write(tmp_path / f'labels{suffix}', labels.astype(dtype)), volume)
    assert list(found) == ['1', '2', '3']
    for name, mask in found.items():
        assert np.array_equal(mask, labels[:, ::-1, ::-1] == int(name))


def test_a_label_map_on_other_axes_is_turned(tmp_path, labels, volume):
    """As a tool writes it that keeps the place of voxels, not their order."""
    turned = sitk.DICOMOrient(sitk.ReadImage(str(write(tmp_path / 'a.nrrd', labels))), 'SAR')
    sitk.WriteImage(turned, str(tmp_path / 'b.nii.gz'))
    assert turned.GetSize() != SHAPE[::-1]
    found = read(tmp_path / 'b.nii.gz', volume)
    assert np.array_equal(found['2'], labels[:, ::-1, ::-1] == 2)


def test_segments_of_slicer(tmp_path, labels, volume):
    fields = dict(
        Segment0_Name='Lung', Segment0_LabelValue='1', Segment0_Layer='0',
        Segment1_Name='GGO, left', Segment1_LabelValue='3', Segment1_Layer='0',
    )  # fmt: skip
    found = read(write(tmp_path / 'a.seg.nrrd', labels, **fields), volume)
    assert list(found) == ['Lung', 'GGO, left']
    assert np.array_equal(found['GGO, left'], labels[:, ::-1, ::-1] == 3)


def test_segments_that_overlap_are_in_layers(tmp_path, labels, volume):
    layers = np.stack([(labels > 0).astype(np.uint8), (labels == 2) * np.uint8(5)], axis=-1)
    fields = dict(
        Segment0_Name='lung', Segment0_LabelValue='1', Segment0_Layer='0',
        Segment1_Name='ggo', Segment1_LabelValue='5', Segment1_Layer='1',
    )  # fmt: skip
    path = write(tmp_path / 'a.seg.nrrd', layers, **fields)
    found = read(path, volume)
    assert np.array_equal(found['lung'], labels[:, ::-1, ::-1] > 0)
    assert np.array_equal(found['ggo'], labels[:, ::-1, ::-1] == 2)
    for change in (dict(Segment1_Layer='2'), dict(Segment0_LabelValue='one')):
        write(path, layers, **{**fields, **change})
        with pytest.raises(ValueError, match=r'a\.seg\.nrrd: Segment. is in layer'):
            read(path, volume)


@pytest.mark.parametrize(
    'change',
    [
        dict(spacing=(0.7, 0.9, 2.6)),
        dict(origin=(-100, 20, 34.5)),
        dict(direction=np.eye(3)),
        dict(array=np.ones((3, 16, 18), np.uint8)),
    ],
)
def test_another_grid_is_refused(tmp_path, labels, volume, change):
    path = write(tmp_path / 'a.nrrd', **{**dict(array=labels), **change})
    with pytest.raises(ValueError, match=r'a\.nrrd: is not on the grid of .*scan\.nrrd, 18x16x4'):
        read(path, volume)


def test_what_is_no_segmentation(tmp_path, labels, volume):
    (tmp_path / 'a.txt').touch()
    for path, error, match in (
        (tmp_path / 'absent.nrrd', FileNotFoundError, 'no such segmentation'),
        (tmp_path / 'a.txt', ValueError, 'is no segmentation. Give a label map'),
        (tmp_path / 'scan.nrrd', ValueError, r'values that are no labels, from -9\d\d to'),
        (write(tmp_path / 'half.nrrd', labels / np.float32(2)), ValueError, 'no labels'),
    ):
        with pytest.raises(error, match=match):
            read(path, volume)


def write_seg(folder, labels, classes=None, **tags):
    """A series and a segmentation of it."""
    series = write_series(folder / 'series', chest(*SHAPE[:2]), FrameOfReferenceUID='1.2.5', **tags)
    volume = read_volume(series)
    model = ModelInfo('m', config_sha256=None, weights=None, weights_sha256=None)
    images, classes = read_images(volume), classes or Classes.of()
    write_dicom_seg(labels, volume, images, classes, model, folder / 'seg.dcm')
    return volume, folder / 'seg.dcm'


def test_dicom_segmentation(tmp_path, labels):
    pytest.importorskip('highdicom')
    labels = labels[..., :16].copy()
    labels[0] = labels[2] = 0  # such frames are left out of the file
    volume, path = write_seg(tmp_path, labels)
    found = read(path, volume)
    assert list(found) == ['lung', 'ggo', 'consolidation']
    for name, expected in zip(found, (labels > 0, labels == 2, labels == 3)):
        assert np.array_equal(found[name], expected)
    # the same scan as another file, turned
    write_mask(np.zeros(volume.array.shape, np.uint8), volume, tmp_path / 'grid.nii.gz')
    other = read_volume(tmp_path / 'grid.nii.gz')
    assert np.array_equal(read(path, other)['ggo'], labels == 2)


def test_dicom_segmentation_of_another_scan(tmp_path, labels, volume, monkeypatch):
    pytest.importorskip('highdicom')
    own, path = write_seg(tmp_path, labels[..., :16])
    with pytest.raises(ValueError, match='is not on the grid of'):
        read(path, volume)
    other = read_volume(write_series(tmp_path / 'other', chest(*SHAPE[:2]), uid='1.2.9'))
    with pytest.raises(ValueError, match=r'is of the series 1\.2\.8.*not of 1\.2\.9'):
        read(path, other)
    fractional = dcmread(path)
    fractional.SegmentationType = 'FRACTIONAL'
    fractional.save_as(tmp_path / 'fractional.dcm')
    with pytest.raises(ValueError, match='its values are fractions, not labels'):
        read(tmp_path / 'fractional.dcm', own)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ValueError, match='cannot be read as a DICOM segmentation'):
        read(path, own)
    monkeypatch.setitem(sys.modules, 'highdicom', None)
    with pytest.raises(ImportError, match='pip install highdicom'):
        read(path, own)
