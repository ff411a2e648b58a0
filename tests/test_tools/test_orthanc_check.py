import numpy as np
import pytest
import SimpleITK as sitk
from ct_utils import chest
from known_predictor import KnownPredictor
from pydicom import dcmread
from tools_utils import load_tool

from mmcovid.ct import read_volume
from mmcovid.scans import Settings, run_scans

for package in ('highdicom', 'dicomweb_client', 'requests_toolbelt'):
    pytest.importorskip(package)


@pytest.fixture
def tool():
    return load_tool('misc/orthanc_check')


def write_volume(path, array):
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((0.75, 0.5, 2.5))
    sitk.WriteImage(image, str(path))
    return path


def test_objects_are_read_by_hand_as_they_were_written(tool, tmp_path):
    hu = chest(3, 32)
    labels = np.random.default_rng(0).integers(0, 4, hu.shape).astype(np.uint8)
    labels[1] = 0
    path = write_volume(tmp_path / 'scan.nii.gz', hu)
    study = tool.write_series(path, tmp_path / 'series', 1)
    np.testing.assert_array_equal(read_volume(tmp_path / 'series').array, hu)
    assert read_volume(tmp_path / 'series').spacing == (0.75, 0.5, 2.5)

    predictor = KnownPredictor(write_volume(tmp_path / 'labels.nrrd', labels))
    settings = Settings(dicom_sr=True)
    run_scans(predictor, [tmp_path / 'series'], tmp_path / 'out', settings, show_progress=False)
    ct = [dcmread(file) for file in sorted((tmp_path / 'series').iterdir())]
    segmentation, report = (
        dcmread(tmp_path / 'out' / 'series' / f'{name}.dcm')
        for name in ('segmentation', 'structured_report')
    )
    assert report.StudyInstanceUID == study
    masks = tool.read_segments(segmentation, ct)
    assert list(masks) == ['lung', 'ggo', 'consolidation']
    np.testing.assert_array_equal(masks['lung'], labels > 0)
    np.testing.assert_array_equal(masks['consolidation'], labels == 3)
    meaning, scores, measured = tool.read_report(report)
    assert meaning == 'COVID-19' and scores == [0.2, 0.3, 0.5]
    ml = 0.75 * 0.5 * 2.5 / 1000
    assert measured['lung'] == (pytest.approx((labels > 0).sum() * ml), None)
    share = 100 * (labels == 2).sum() / (labels > 0).sum()
    assert measured['ggo'] == pytest.approx(((labels == 2).sum() * ml, share))


def test_whatever_does_not_hold_is_told(tool, capsys):
    checks = tool.Checks()
    checks('one', True)
    checks('two', np.bool_(False))
    checks('three', True)
    assert not checks.good
    assert capsys.readouterr().out == 'ok    one\nWRONG two\nok    three\n'


def test_what_the_validator_finds_is_told(tool, tmp_path, monkeypatch, capsys):
    program = tmp_path / 'dciodvfy'
    program.write_text('#!/bin/sh\necho "Error - of $(basename $1)" >&2\necho "SC" >&2\n')
    program.chmod(0o700)
    monkeypatch.setenv('PATH', str(tmp_path), prepend=':')
    (tmp_path / 'a.dcm').touch()
    checks = tool.Checks()
    tool.validate(checks, tmp_path)
    assert not checks.good and 'Error - of a.dcm\nWRONG dciodvfy: 1 files, 1 errors' in (
        capsys.readouterr().out
    )
    program.write_text('#!/bin/sh\n')
    checks = tool.Checks()
    tool.validate(checks, tmp_path)
    assert checks.good
