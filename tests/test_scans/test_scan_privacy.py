"""Outputs of scans tell nothing of the patient, nor the folders of the machine."""

import gzip

import numpy as np
import pytest
import SimpleITK as sitk
from ct_utils import chest, write_series
from hypothesis import given
from hypothesis import strategies as st
from known_predictor import KnownPredictor

from mmcovid.results import ModelInfo
from mmcovid.scans import Settings, run_scans
from mmcovid.scans.shown import without_folders
from mmcovid.scans.summary import NAME

PLANTED = dict(
    PatientName='DOE^JANE',
    PatientID='ID-4711',
    PatientBirthDate='19700102',
    PatientComments='planted comment',
    AccessionNumber='A-4712',
    Manufacturer='scanners of planted',
    InstitutionName='St Elsewhere',
    InstitutionalDepartmentName='planted ward',
    InstitutionAddress='planted street',
    StationName='planted room',
    DeviceSerialNumber='planted number',
    ReferringPhysicianName='HOUSE^G',
    StudyDescription='planted study',
    SeriesDescription='planted series',
)
#: What none of the outputs may hold: what was planted, and the folder that all lies in.
SECRETS = [*PLANTED.values(), 'doe_jane']


@pytest.fixture
def ward(tmp_path):
    """A folder with the name of a patient: a series, a volume, no volume, and weights."""
    ward = tmp_path / 'doe_jane'
    hu = chest(3, 32)
    write_series(ward / 'series', hu, FrameOfReferenceUID='1.2.5', **PLANTED)
    sitk.WriteImage(sitk.GetImageFromArray(hu), str(ward / 'volume.nrrd'))
    labels = np.random.default_rng(0).integers(0, 4, hu.shape).astype(np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(labels), str(ward / 'labels.nrrd'))
    (ward / 'broken.nrrd').write_text('no volume')
    return ward


def run(ward, out, broken=(), **settings):
    predictor = KnownPredictor(ward / 'labels.nrrd', broken=broken)
    predictor.model_info = ModelInfo('m', 'c' * 64, str(ward / 'weights.onnx'), 'd' * 64)
    inputs = [ward / name for name in ('series', 'volume.nrrd', 'broken.nrrd', 'absent')]
    return run_scans(predictor, inputs, out, Settings(**settings), show_progress=True)


def contents(out):
    """All files, and their names, as one."""
    found = b''
    for path in sorted(out.rglob('*')):
        found += f'{path.relative_to(out)}\n'.encode()
        if path.is_file():
            data = path.read_bytes()
            found += gzip.decompress(data) if path.suffix == '.gz' else data
    return found


@pytest.mark.parametrize('broken', [(), (1,)])
def test_nothing_planted_is_in_any_output(ward, capfd, broken):
    rows = run(ward, ward / 'out', broken=broken)
    assert [row['status'] for row in rows].count('failed') == 2
    found = contents(ward / 'out')
    assert b'broken.nrrd' in found and b'absent' in found and b'series#001' in found
    for secret in SECRETS:
        assert secret.encode() not in found, secret
    printed = capfd.readouterr()
    assert not any(secret in printed.out + printed.err for secret in PLANTED.values())


def test_paths_are_told_if_asked_for(ward):
    run(ward, ward / 'out', keep_paths=True)
    found = contents(ward / 'out')
    for name in ('series', 'volume.nrrd', 'broken.nrrd', 'absent', 'weights.onnx'):
        assert str(ward / name).encode() in found


def test_dicom_outputs_have_what_dicom_demands_of_the_patient(ward):
    """They are the only outputs that do, and are not written unless asked for."""
    pytest.importorskip('highdicom')
    run(ward, ward / 'out')
    run(ward, ward / 'asked', dicom_seg=True, dicom_sr=True, dicom_sc=True)
    assert not list((ward / 'out').rglob('*.dcm'))
    files = list((ward / 'asked').rglob('*.dcm'))
    assert len(files) > 2
    for file in files:
        data = file.read_bytes()
        has = {tag for tag, text in PLANTED.items() if text.encode() in data}
        assert has - {'Manufacturer'} == {  # that of the scanner says nothing of the hospital
            'PatientName',
            'PatientID',
            'PatientBirthDate',
            'AccessionNumber',
            'ReferringPhysicianName',
        }


def test_another_scan_of_the_same_name_is_still_told_apart(ward, tmp_path):
    run(ward, tmp_path / 'out')
    again = run(ward, tmp_path / 'out', resume=True)
    kept = {row['scan']: row.get('kept', False) for row in again}
    assert kept['series'] and kept['volume']
    moved = ward.rename(tmp_path / 'elsewhere')
    rows = {row['scan']: row for row in run(moved, tmp_path / 'out', resume=True)}
    assert 'of another scan, volume.nrrd' in rows['volume']['reason']


def test_inputs_of_one_name_that_are_no_scans_are_all_told(tmp_path):
    for folder in 'ab':
        (tmp_path / folder).mkdir()
    inputs = [tmp_path / folder / 'x.nii' for folder in 'ab']
    predictor = KnownPredictor.__new__(KnownPredictor)  # nothing is predicted
    predictor.scan_rule = None
    run_scans(predictor, inputs, tmp_path / 'out', show_progress=False)
    lines = (tmp_path / 'out' / NAME).read_text().splitlines()
    assert [line.split(',')[2] for line in lines[1:]] == ['a/x.nii', 'b/x.nii']


@pytest.mark.parametrize(
    'text, path, shown',
    [
        ('/a b/scan.nii#001', '/a b/scan.nii', 'scan.nii#001'),
        (
            'cannot read "/a/scan/1.png": /a/scan/1.png',
            '/a/scan',
            'cannot read "scan/1.png": scan/1.png',
        ),
        ('data/x.nii of metadata/x', 'data/x.nii', 'x.nii of metadata/x'),
        ('x.nii: 1/2', 'x.nii', 'x.nii: 1/2'),
        ('/x.nii: 1/2', '/x.nii', '/x.nii: 1/2'),
    ],
)
def test_folders_are_taken_out_and_nothing_else(text, path, shown):
    assert without_folders(text, path) == shown


@given(st.text(max_size=30), st.text(max_size=12))
def test_a_text_without_the_folder_stays(text, path):
    if '/' not in text and '/' not in path:
        assert without_folders(text, path) == text
