"""What a run writes for hospitals, as other programs read it."""

import json
import sys
from importlib import resources

import numpy as np
import pytest
import SimpleITK as sitk
from ct_utils import chest, write_series
from known_predictor import KnownPredictor
from pydicom import dcmread

from mmcovid.classes import Classes
from mmcovid.results import ModelInfo
from mmcovid.scans import Scan, Settings, run_scans
from mmcovid.scans.dicom import check_dicom
from mmcovid.scans.dicom_series import check_series
from mmcovid.scans.dicom_sr import SCAN_CLASS, SHARE_OF_LUNG

hd = pytest.importorskip('highdicom')

MODEL = ModelInfo('known', 'c' * 64, 'weights.onnx', 'ab' * 32)
VOLUME = '118565006'  # of SNOMED CT


class ClassOnly(KnownPredictor):
    """It does not segment."""

    def predict(self, *args):
        for result in super().predict(*args):
            result.lesions = None
            yield result


def run(folder, predictor=KnownPredictor, **settings):
    """Read a series of known labels; the folder of the results, and the files of the series."""
    hu = chest(4, 32)
    labels = np.zeros(hu.shape, np.uint8)
    labels[:, 8:24, 8:24] = 1
    labels[1:3, 10:14, 10:14] = 2
    labels[0, 20:22, 20:22] = 2
    labels[3, 9:12, 9:12] = 3
    folder.mkdir(exist_ok=True)
    series = write_series(
        folder / 'series', hu, FrameOfReferenceUID='1.2.5', PatientName='Müller^Ä',
        SpecificCharacterSet='ISO_IR 100', StudyDate='20200301',
    )  # fmt: skip
    sitk.WriteImage(sitk.GetImageFromArray(labels), str(folder / 'labels.nrrd'))
    predictor = predictor(folder / 'labels.nrrd')
    predictor.model_info = MODEL
    (row,) = run_scans(
        predictor,
        [series],
        folder / 'out',
        Settings(least_lesion_ml=0, **settings),
        show_progress=False,
    )
    assert row['status'] == 'ok', row['reason']
    return folder / 'out' / 'series', sorted(map(dcmread, series.iterdir()), key=_place)


def _place(image):
    return image.ImagePositionPatient[2]


@pytest.fixture(scope='module')
def written(tmp_path_factory):
    """A scan with all three outputs, by a model that segments and classifies."""
    return run(tmp_path_factory.mktemp('dicom'), dicom_sr=True, dicom_sc=True)


def texts(dataset):
    """All text items of a report."""
    items = [each for each in dataset.iterall() if each.keyword == 'TextValue']
    return [each.value for each in items]


def test_report_has_the_numbers_of_the_results(written):
    folder, _ = written
    results = json.loads((folder / 'results.json').read_text())
    content = hd.sr.srread(folder / 'structured_report.dcm').content
    groups = {each.tracking_identifier: each for each in content.get_image_measurement_groups()}
    assert set(groups) == {'scan', 'lesions'}
    (found,) = groups['scan'].get_qualitative_evaluations(SCAN_CLASS)
    assert found.value.meaning == 'COVID-19' and found.value.value == '840539006'
    assert {each.name.value: each.value for each in groups['scan'].get_measurements()} == {
        f'score_{name}': pytest.approx(score)
        for name, score in results['classification']['scores'].items()
    }
    volumetric = content.get_volumetric_roi_measurement_groups()
    groups |= {each.tracking_identifier: each for each in volumetric}
    for name, volume in results['volumes'].items():
        told = {
            each.name.value: (each.value, each.unit.value)
            for each in groups[name].get_measurements()
        }
        assert told.pop(VOLUME) == (pytest.approx(volume['ml']), 'ml')
        if name != 'lung':
            share = pytest.approx(100 * volume['share_of_lung'])
            assert told.pop(SHARE_OF_LUNG.value) == (share, '%')
        assert not told


def test_report_refers_to_segments_and_slices(written):
    folder, images = written
    segmentation = dcmread(folder / 'segmentation.dcm')
    content = hd.sr.srread(folder / 'structured_report.dcm').content
    groups = {
        each.tracking_identifier: each for each in content.get_volumetric_roi_measurement_groups()
    }
    numbers = {}
    for name, group in groups.items():
        reference = group.referenced_segment[0].ReferencedSOPSequence[0]
        assert reference.ReferencedSOPInstanceUID == segmentation.SOPInstanceUID
        assert 'ReferencedFrameNumber' not in reference  # DICOM allows one of both
        numbers[name] = reference.ReferencedSegmentNumber
    assert numbers == {
        'lung': 1, 'ggo': 2, 'consolidation': 3, 'lesion 1': 2, 'lesion 2': 2,
    }  # fmt: skip
    slices = [
        {
            each.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
            for each in group.referenced_segment[1:]
        }
        for name, group in groups.items()
        if name.startswith('lesion ')
    ]
    uids = [image.SOPInstanceUID for image in images]
    assert slices == [set(uids[1:4]), {uids[0]}]  # ground glass and consolidation touch
    voxel = 0.6 * 0.7 * 2.5 / 1000
    volumes = [groups[f'lesion {k}'].get_measurements()[0].value for k in (1, 2)]
    assert volumes == pytest.approx([41 * voxel, 4 * voxel])
    (scan,) = (
        each
        for each in content.get_image_measurement_groups()
        if each.tracking_identifier == 'scan'
    )
    sources = {
        each.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for each in scan.source_images
    }
    assert sources == set(uids)
    evidence = dcmread(folder / 'structured_report.dcm').CurrentRequestedProcedureEvidenceSequence
    known = {
        each.ReferencedSOPInstanceUID
        for series in evidence[0].ReferencedSeriesSequence
        for each in series.ReferencedSOPSequence
    }
    assert known == {*uids, segmentation.SOPInstanceUID}


def test_report_says_what_it_is(written):
    folder, _ = written
    report = dcmread(folder / 'structured_report.dcm')
    assert report.VerificationFlag == 'UNVERIFIED' and report.PreliminaryFlag == 'PRELIMINARY'
    said = texts(report)
    assert any('research use only' in text for text in said)
    groups = 2 + 3 + 2  # scan and lesions, classes, lesions one by one
    assert said.count(f'weights_sha256={"ab" * 32}') == said.count('mmcovid known') == groups


def test_report_repeats_the_notes(tmp_path):
    def unlike(labels):
        return KnownPredictor(labels, distances=[9.0] * 4, distance_threshold=1.0)

    folder, _ = run(tmp_path / 'unlike', unlike, dicom_sr=True)
    notes = json.loads((folder / 'results.json').read_text())['notes']
    assert notes and set(notes) < set(texts(dcmread(folder / 'structured_report.dcm')))


def test_captures_show_the_suspicious_slices(written):
    folder, images = written
    results = json.loads((folder / 'results.json').read_text())
    captures = [dcmread(path) for path in sorted((folder / 'captures').iterdir())]
    sources = [each.SourceImageSequence[0].ReferencedSOPInstanceUID for each in captures]
    assert sources == [images[index].SOPInstanceUID for index in results['suspicious_slices']]
    assert len({each.SeriesInstanceUID for each in captures}) == 1
    for each in captures:
        assert each.SOPClassUID.name == 'Secondary Capture Image Storage'
        assert each.pixel_array.shape == (each.Rows, each.Columns, 3)
        assert each.Columns > each.Rows >= 512 and each.PatientOrientation == ['L', 'P']


def test_all_are_filed_with_the_patient_and_the_study(written):
    folder, images = written
    for path in folder.rglob('*.dcm'):
        each = dcmread(path)
        for keyword in ('PatientName', 'PatientID', 'StudyInstanceUID', 'StudyDate'):
            assert each[keyword].value == images[0][keyword].value, (path.name, keyword)
        assert each.SeriesInstanceUID != images[0].SeriesInstanceUID
        assert 'research use only' in each.SeriesDescription


def test_all_have_what_the_standard_demands(written):
    """By the tables of the standard that highdicom is built on."""
    standard = resources.files('highdicom') / '_standard'
    modules, attributes, iods = (
        json.loads((standard / f'{name}.json').read_text())
        for name in ('iod_module_map', 'module_attribute_map', 'sop_class_iod_map')
    )
    folder, _ = written
    checked = 0
    for path in folder.rglob('*.dcm'):
        dataset = dcmread(path)
        for module in modules[iods[dataset.SOPClassUID]]:
            if module['key'] == 'sr-document-content':
                continue  # what an item has depends on its type, which the table does not tell
            for attribute in attributes[module['key']]:
                if module['usage'] == 'M' and not attribute['path']:
                    keyword, kind = attribute['keyword'], attribute['type']
                    if kind in ('1', '2'):
                        assert keyword in dataset, (path.name, module['key'], keyword)
                        checked += 1
                    if kind == '1':
                        assert not dataset[keyword].is_empty, (path.name, module['key'], keyword)
    assert checked > 100


def test_a_model_without_masks_reports_the_class_alone(tmp_path):
    folder, images = run(tmp_path / 'class', ClassOnly, dicom_sr=True, dicom_sc=True)
    assert not (folder / 'segmentation.dcm').exists() and list((folder / 'captures').iterdir())
    content = hd.sr.srread(folder / 'structured_report.dcm').content
    (group,) = content.get_image_measurement_groups()
    assert group.tracking_identifier == 'scan' and len(group.source_images) == len(images)
    assert not content.get_volumetric_roi_measurement_groups()


def test_what_cannot_be_written_is_told_at_once(tmp_path, monkeypatch):
    asked = Settings(dicom_sr=True)
    check_dicom(Classes.of(), asked)
    with pytest.raises(ValueError, match='no DICOM code for the classes .*effusion'):
        check_dicom(Classes.of(('lung', 'effusion')), asked)
    other = Classes.of(images=('normal', 'tb'))
    with pytest.raises(ValueError, match='no DICOM code for the classes .*tb'):
        check_dicom(other, asked)
    check_dicom(other, Settings(dicom_seg=True))
    check_dicom(other, Settings())
    monkeypatch.setitem(sys.modules, 'highdicom', None)
    with pytest.raises(ValueError, match='pip install highdicom'):
        check_dicom(Classes.of(), Settings(dicom_sc=True))


def test_only_series_can_be_referred_to(tmp_path):
    sitk.WriteImage(sitk.GetImageFromArray(chest(2, 8)), str(tmp_path / 'a.nrrd'))
    for scan in (Scan(str(tmp_path / 'a.nrrd')), Scan('folder', ('a.png',))):
        with pytest.raises(ValueError, match='no DICOM series'):
            check_series(scan)
    check_series(Scan(str(write_series(tmp_path / 'series', chest(2, 8)))))
