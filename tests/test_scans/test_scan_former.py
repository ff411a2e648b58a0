import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from known_predictor import KnownPredictor

from mmcovid.results import ModelInfo, ScanModel, ScanSettings
from mmcovid.scan_class.load import VECTORS
from mmcovid.scans import Settings, run_scans
from mmcovid.scans.former import find_difference
from mmcovid.utils.files import to_plain

MODEL = ModelInfo('known', config_sha256='c' * 64, weights='w.pth', weights_sha256='d' * 64)


class Predictor(KnownPredictor):
    """It has hashes, and counts what it is asked for."""

    model_info, asked = MODEL, 0

    def predict(self, paths, *args):
        self.asked += 1
        yield from super().predict(paths, *args)


@pytest.fixture
def scans(tmp_path):
    """Two volumes, and a predictor that knows their labels."""
    labels = np.random.default_rng(0).integers(0, 4, (3, 16, 16)).astype(np.uint8)
    for name in ('a', 'b', 'labels'):
        image = sitk.GetImageFromArray(labels if name == 'labels' else labels.astype(np.int16))
        sitk.WriteImage(image, str(tmp_path / f'{name}.nrrd'))
    return [tmp_path / 'a.nrrd', tmp_path / 'b.nrrd'], Predictor(tmp_path / 'labels.nrrd')


def run(scans, out, **settings):
    paths, predictor = scans
    return run_scans(predictor, paths, out, Settings(**settings), show_progress=False)


def test_what_is_there_is_left_and_told(scans, tmp_path):
    out = tmp_path / 'out'
    first = run(scans, out)
    table = (out / 'summary.csv').read_text()
    shutil.rmtree(out / 'b')
    (out / 'summary.csv').unlink()  # of a process that was killed before it wrote a line
    before = (out / 'a' / 'results.json').stat().st_mtime_ns
    again = run(scans, out, resume=True, batch_size=7)
    assert [line.pop('kept', False) for line in again] == [True, False]
    assert again == first
    assert (out / 'a' / 'results.json').stat().st_mtime_ns == before
    assert (out / 'summary.csv').read_text() == table
    assert scans[1].asked == 3
    run(scans, out, resume=True, overwrite=True)
    assert scans[1].asked == 3


def other_model(scans):
    scans[1].model_info = replace(MODEL, weights_sha256='e' * 64)


def no_hash(scans):
    scans[1].model_info = replace(MODEL, weights_sha256=None)


def other_temperature(scans):
    scans[1].temperature = 2.0


def other_precision(scans):
    scans[1].precision = 'bf16'


def elsewhere(scans):
    (scans[0][0].parent / 'moved').mkdir()
    scans[0][0] = scans[0][0].rename(scans[0][0].parent / 'moved' / 'a.nrrd')


def change_results(**values):
    def change(scans):
        path = scans[0][0].parent / 'out' / 'a' / 'results.json'
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return change


def torn(scans):
    (scans[0][0].parent / 'out' / 'a' / 'results.json').write_text('{"schema')


@pytest.mark.parametrize(
    'change, options, message',
    [
        (other_model, {}, 'of another model'),
        (no_hash, {}, 'of another model'),
        (other_temperature, {}, 'with other settings (temperature)'),
        (other_precision, {}, 'with other settings (precision)'),
        (None, dict(score_thr=0.5, region='all'), 'with other settings (score_thr, region)'),
        (elsewhere, {}, 'of another scan'),
        (change_results(complete=False), {}, 'incomplete'),
        (change_results(schema_version=0), {}, 'without results that can be read'),
        (torn, {}, 'without results that can be read'),
    ],
)
def test_what_is_not_the_same_is_refused_or_replaced(scans, tmp_path, change, options, message):
    out = tmp_path / 'out'
    del scans[0][1:]
    run(scans, out)
    if change:
        change(scans)
    before = (out / 'a' / 'results.json').read_bytes()
    line = run(scans, out, resume=True, **options)[0]
    assert line['status'] == 'failed' and message in line['reason']
    assert 'exists already' in line['reason'] and 'kept' not in line
    assert (out / 'a' / 'results.json').read_bytes() == before
    line = run(scans, out, resume=True, overwrite=True, **options)[0]
    assert line['status'] == 'ok' and 'kept' not in line
    assert (out / 'a' / 'results.json').read_bytes() != before


def test_model_of_another_name_and_place_is_the_same(scans, tmp_path):
    run(scans, tmp_path / 'out')
    scans[1].model_info = replace(MODEL, name='other', weights='elsewhere/w.pth')
    assert all(line['kept'] for line in run(scans, tmp_path / 'out', resume=True))


def test_missing_files_are_not_the_same():
    model = ScanModel(**vars(MODEL), classes=(), image_classes=())
    settings = ScanSettings(0.3, 'mean', 'lung', None, 1, None, 'fp32', 'cpu')
    results = dict(scan=dict(path='a'), complete=True, files={'labels.nii.gz': ''})
    results |= dict(model=to_plain(model), settings=to_plain(settings))

    def difference(**asked):
        return find_difference(results, 'a', model, settings, Settings(**asked))

    assert difference() is None
    assert difference(dicom_seg=True) == difference(dicom_sr=True) == 'without segmentation.dcm'
    results['files']['segmentation.dcm'] = ''
    assert difference(dicom_seg=True) is None
    assert difference(dicom_sr=True) == 'without structured_report.dcm'
    assert difference(dicom_sc=True) == 'without captures/'
    assert difference(keep_vectors=True) == 'without image vectors'
    results['files'] |= {'structured_report.dcm': '', 'captures/': '', VECTORS: ''}
    assert difference(dicom_seg=True, dicom_sr=True, dicom_sc=True, keep_vectors=True) is None
    results['files'] = {'structured_report.dcm': ''}  # of a model that classifies only
    assert difference(dicom_seg=True, dicom_sr=True) is None
