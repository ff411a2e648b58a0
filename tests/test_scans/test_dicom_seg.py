import numpy as np
import pytest
from ct_utils import chest, write_series
from pydicom import dcmread

from mmcovid.classes import LESION_CLASSES, Classes
from mmcovid.ct import read_volume
from mmcovid.results import ModelInfo
from mmcovid.scans.dicom_seg import write_dicom_seg
from mmcovid.scans.dicom_series import read_images

CLASSES = Classes.of()
MODEL = ModelInfo('model', config_sha256=None, weights=None, weights_sha256='ab' * 32)
TURNS = {
    'straight': [1, 0, 0, 0, 1, 0],
    'prone': [-1, 0, 0, 0, -1, 0],
    'swapped': [0, 1, 0, 1, 0, 0],
    'oblique': [0.8, 0.6, 0, -0.6, 0.8, 0],
}


def write(folder, labels, classes=CLASSES):
    volume = read_volume(folder)
    path = folder.parent / 'seg.dcm'
    write_dicom_seg(labels, volume, read_images(volume), classes, MODEL, path)
    return volume, path


@pytest.mark.parametrize('turn', TURNS)
def test_voxels_and_their_place_in_the_patient(tmp_path, turn):
    hd = pytest.importorskip('highdicom')
    series = write_series(
        tmp_path / 'series',
        chest(4, 16),
        FrameOfReferenceUID='1.2.5',
        ImageOrientationPatient=TURNS[turn],
        Rows=16,
    )
    labels = np.random.default_rng(0).integers(0, 4, (4, 16, 16)).astype(np.uint8)
    labels[2] = 0
    volume, path = write(series, labels)

    seg = hd.seg.segread(path)
    for number, name in enumerate(LESION_CLASSES, 1):
        segment = seg.get_volume(segment_numbers=[number], combine_segments=False)
        voxels = np.argwhere(np.asarray(segment.array)[..., 0])
        place = voxels @ segment.affine[:3, :3].T + segment.affine[:3, 3]
        expected = np.argwhere(labels > 0 if name == 'lung' else labels == number)[:, ::-1]
        expected = volume.grid.origin + expected * volume.grid.spacing @ volume.grid.direction.T
        assert len(place) == len(expected) > 0
        assert {tuple(p) for p in place.round(2) + 0.0} == {
            tuple(p) for p in expected.round(2) + 0.0
        }


def test_what_it_refers_to_and_what_it_says(tmp_path):
    pytest.importorskip('highdicom')
    series = write_series(tmp_path / 'series', chest(3, 16), FrameOfReferenceUID='1.2.5')
    _, path = write(series, np.ones((3, 16, 16), np.uint8))
    seg = dcmread(path)
    assert seg.SOPClassUID.name == 'Segmentation Storage' and seg.PatientID == 'p1'
    assert seg.FrameOfReferenceUID == '1.2.5' and seg.StudyInstanceUID == '1.2.3'
    referenced = {
        item.ReferencedSOPInstanceUID
        for item in seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    }
    assert referenced == {dcmread(file).SOPInstanceUID for file in series.iterdir()}
    types = [segment.SegmentedPropertyTypeCodeSequence[0] for segment in seg.SegmentSequence]
    assert [(each.CodeValue, each.CodingSchemeDesignator) for each in types] == [
        ('39607008', 'SCT'),
        ('112120', 'DCM'),
        ('95436008', 'SCT'),
    ]
    algorithm = seg.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence[0]
    assert 'ab' * 32 in algorithm.AlgorithmParameters


def test_empty_mask_and_merged_class(tmp_path):
    hd = pytest.importorskip('highdicom')
    series = write_series(tmp_path / 'series', chest(3, 16), FrameOfReferenceUID='1.2.5')
    merged = Classes.of(('lung', 'lesion'), palette=[(0, 0, 255), (255, 0, 0)])
    _, path = write(series, np.zeros((3, 16, 16), np.uint8), merged)
    seg = hd.seg.segread(path)
    assert seg.number_of_segments == 2 and not seg.pixel_array.any()


def test_what_cannot_be_written(tmp_path):
    pytest.importorskip('highdicom')
    series = write_series(tmp_path / 'series', chest(3, 16))
    with pytest.raises(ValueError, match=r'series: no DICOM object can .*Frame Of Reference'):
        write(series, np.ones((3, 16, 16), np.uint8))
    assert not (tmp_path / 'seg.dcm').exists()


@pytest.mark.parametrize(
    'name', ['back\\slash', 'x' * 100, 'esc\x1b[2J', 'é' * 64, '模型', 'a\nb', ' ', '=1+1']
)
def test_any_name_of_a_model_can_be_read_again(tmp_path, name):
    pytest.importorskip('highdicom')
    series = write_series(tmp_path / 'series', chest(2, 16), FrameOfReferenceUID='1.2.5')
    labels = np.ones((2, 16, 16), np.uint8)
    model = ModelInfo(name, config_sha256=None, weights=None, weights_sha256='ab' * 32)
    volume = read_volume(series)
    write_dicom_seg(labels, volume, read_images(volume), CLASSES, model, tmp_path / 'seg.dcm')
    seg = dcmread(tmp_path / 'seg.dcm')
    seg.decode()
    told = seg.ManufacturerModelName
    assert isinstance(told, str) and len(told) <= 64 and told.isprintable()
