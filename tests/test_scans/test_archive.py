"""Scans of archives: what is retrieved and stored, and what is told when an archive fails."""

import json
import re
import time

import numpy as np
import pytest
import SimpleITK as sitk
from ct_utils import SERIES, chest, write_series
from dicomweb_utils import serve
from known_predictor import KnownPredictor
from pydicom import dcmread

from mmcovid.results import ModelInfo
from mmcovid.scans import Settings, find_scans, run_scans
from mmcovid.scans.addresses import Address
from mmcovid.utils.budget import MIB, SLICE_PIXELS, BudgetError

archive_module = pytest.importorskip('mmcovid.scans.archive')
Archive = archive_module.Archive
STUDY, SLICES = '1.2.3', 4
SECRET = 's3cret-word'


@pytest.fixture(autouse=True)
def _soon(tmp_path, monkeypatch):
    """Failures take no time, and the user's own credentials no part."""
    monkeypatch.setattr(archive_module, 'BACKOFF', 0)
    monkeypatch.setattr(archive_module, 'TIMEOUT', (1, 0.3))
    (tmp_path / 'netrc').write_text(f'machine 127.0.0.1 login me password {SECRET}\n')
    monkeypatch.setenv('NETRC', str(tmp_path / 'netrc'))
    monkeypatch.delenv(archive_module.TOKEN, raising=False)


@pytest.fixture
def archive(tmp_path):
    """An archive with a CT series, and a series of another modality in the same study."""
    series = write_series(tmp_path / 'ct', chest(SLICES, 32), FrameOfReferenceUID='1.2.5')
    other = write_series(tmp_path / 'pt', chest(1, 32), uid='1.2.9', Modality='PT')
    with serve([*series.iterdir(), *other.iterdir()]) as running:
        yield running


def predictor(tmp_path):
    labels = np.random.default_rng(0).integers(0, 4, (SLICES, 32, 32)).astype(np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(labels), str(tmp_path / 'labels.nrrd'))
    known = KnownPredictor(tmp_path / 'labels.nrrd')
    known.model_info = ModelInfo('known', 'c' * 64, 'weights.onnx', 'd' * 64)
    return known


def run(archive, tmp_path, out='out', **settings):
    """The lines of the summary."""
    inputs = [f'{archive.base}/{STUDY}']
    return run_scans(
        predictor(tmp_path), inputs, tmp_path / out, Settings(**settings), show_progress=False
    )


def series_of(archive):
    return Archive(Address.parse(f'{archive.base}/{STUDY}/series/{SERIES}'))


def test_a_scan_is_the_same_from_the_archive_and_from_the_disk(archive, tmp_path):
    (row,) = run(archive, tmp_path)
    local = tmp_path / 'local'
    run_scans(predictor(tmp_path), [tmp_path / 'ct'], local, Settings(), show_progress=False)
    results, expected = (
        json.loads((folder / 'results.json').read_text())
        for folder in (tmp_path / 'out' / SERIES, local / 'ct')
    )
    assert (row['scan'], row['status'], row['input']) == (SERIES, 'ok', SERIES)
    for key in ('classification', 'volumes', 'suspicious_slices'):
        assert results[key] == expected[key]
    assert [each['path'] for each in results['slices']] == [
        f'{SERIES}#00{k}' for k in range(SLICES)
    ]


def test_with_paths_the_address_is_told_and_no_temporary_folder(archive, tmp_path):
    address = f'{archive.base}/{STUDY}/series/{SERIES}'
    (row,) = run_scans(
        predictor(tmp_path),
        [address],
        tmp_path / 'paths',
        Settings(keep_paths=True),
        show_progress=False,
    )
    told = (tmp_path / 'paths' / SERIES / 'results.json').read_text()
    assert row['input'] == address and json.loads(told)['scan']['path'] == address
    assert 'mmcovid-' not in told


@pytest.mark.parametrize('multipart', [True, False])
def test_files_come_as_they_are_stored(archive, tmp_path, multipart):
    def alone(handler, kind, number):
        if kind == 'instance' and not multipart:
            content = handler.server.files[handler.path.rsplit('/')[-1]]
            handler.send(content, 'application/dicom')
            return True
        return False

    archive.wrong = alone
    (tmp_path / 'got').mkdir()
    series_of(archive).retrieve(tmp_path / 'got')
    got = {path.read_bytes() for path in (tmp_path / 'got').iterdir()}
    assert got == {path.read_bytes() for path in (tmp_path / 'ct').iterdir()}


def test_outputs_are_stored_and_missing_ones_stored_again(archive, tmp_path):
    pytest.importorskip('highdicom')
    asked = dict(dicom_sr=True, dicom_sc=True, store=True)
    before = set(archive.files)
    (row,) = run(archive, tmp_path, **asked)
    assert row['status'] == 'ok'
    files = {dcmread(path).SOPInstanceUID: path for path in (tmp_path / 'out').rglob('*.dcm')}
    assert set(archive.files) == before | set(files) and len(files) > 2
    lost = next(iter(files))
    del archive.files[lost]
    archive.requests.clear()
    (row,) = run(archive, tmp_path, **asked, resume=True)
    assert row['status'] == 'ok' and row['kept']
    assert lost in archive.files
    assert [kind for kind, *_ in archive.requests].count('store') == 1


def test_what_is_not_stored_is_told_and_kept(archive, tmp_path):
    pytest.importorskip('highdicom')

    def refuse_second(handler, kind, number):
        if kind == 'store' and number:
            handler.send(b'DOE^JANE is not welcome', status=409)
            return True
        return False

    archive.wrong = refuse_second
    (row,) = run(archive, tmp_path, dicom_sr=True, store=True)
    assert row['status'] == 'not stored' and row['class'] == 'covid19'
    assert '1 of 2 DICOM files are stored: it answers 409 Conflict' in row['reason']
    assert '--resume --store' in row['reason'] and 'DOE' not in row['reason']
    assert len(list((tmp_path / 'out' / SERIES).glob('*.dcm'))) == 2
    assert 'not stored' in (tmp_path / 'out' / 'summary.csv').read_text()


def test_a_refusal_in_an_answer_is_no_success(archive, tmp_path):
    failed = json.dumps({'00081198': {'vr': 'SQ', 'Value': [{}]}}).encode()
    archive.wrong = lambda handler, kind, number: kind == 'store' and not handler.send(failed)
    (path, *_) = (tmp_path / 'ct').iterdir()
    del archive.files[dcmread(path).SOPInstanceUID]
    with pytest.raises(ConnectionError, match='0 of 1 DICOM files are stored: it refuses a file'):
        series_of(archive).store([path])


def test_local_scans_have_no_archive(archive, tmp_path):
    pytest.importorskip('highdicom')
    settings = Settings(dicom_seg=True, store=True)
    (row,) = run_scans(
        predictor(tmp_path), [tmp_path / 'ct'], tmp_path / 'out', settings, show_progress=False
    )
    assert row['status'] == 'not stored' and 'of no archive' in row['reason']
    with pytest.raises(ValueError, match='nothing to store'):
        run(archive, tmp_path, store=True)


def status(code):
    return lambda handler, *_: handler.send(b'DOE^JANE', status=code)


def broken_off(handler, *_):
    handler.send_instance(b'1234', length=10**6)
    handler.close_connection = True


def of_another_slice(handler, *_):
    first = min(handler.server.files)
    handler.send_instance(handler.server.files[first])


def cut_short(handler, *_):
    content = handler.server.files[handler.path.rsplit('/')[-1]]
    handler.send_instance(content[: content.index(b'\x08\x00\x60\x00')])  # before the modality


def silent(handler, *_):
    time.sleep(1)


def redirecting(handler, *_):
    handler.send_response(307)
    handler.send_header('Location', 'http://127.0.0.1:1/')
    handler.send_header('Content-Length', '0')
    handler.end_headers()


@pytest.mark.parametrize(
    'at, answer, message',
    [
        ('series', status(401), r'series were not listed: it answers 401 .*\.netrc'),
        ('series', status(403), r'answers 403 Forbidden.*MMCOVID_DICOMWEB_TOKEN'),
        ('series', status(404), 'answers 404 Not Found. Correct the address'),
        ('series', status(500), 'answers 500 Internal Server Error. Ask its operator'),
        ('series', status(599), 'answers 599. Ask its operator'),
        ('series', silent, 'does not answer'),
        ('series', redirecting, 'another address, which is not followed'),
        ('series', lambda handler, *_: handler.send(b'<html>DOE'), 'none of DICOMweb'),
        ('series', lambda handler, *_: handler.send(b'[{"0020000D": 7}]'), 'none of DICOMweb'),
        ('series', lambda handler, *_: handler.send(b'[' * 10**5), 'none of DICOMweb'),
        ('metadata', status(404), 'slices of study 1.2.3 were not listed: it answers 404'),
        ('metadata', lambda handler, *_: handler.send(b'[]'), 'names no slice, or one twice'),
        ('instance', status(503), '2 of 4 slices of study 1.2.3 were retrieved: it answers 503'),
        (
            'instance',
            broken_off,
            '2 of 4 slices of study 1.2.3 were retrieved: it does not answer, or breaks off',
        ),
        (
            'instance',
            lambda handler, *_: handler.send_instance(b'1234', end=b''),
            '2 of 4 slices of study 1.2.3 were retrieved: its answer is truncated',
        ),
        ('instance', cut_short, r'0000\d.dcm: cannot be read as a DICOM image'),
        ('instance', of_another_slice, 'another slice than was asked for'),
        ('instance', lambda handler, *_: handler.send_instance(b'no DICOM'), 'none of DICOMweb'),
        ('instance', lambda handler, *_: handler.send(b'<html>'), 'none of DICOMweb'),
    ],
)
def test_an_archive_that_fails_is_told(archive, tmp_path, at, answer, message, capfd):
    def wrong(handler, kind, number):
        if kind == at and (kind != 'instance' or number >= 2):
            answer(handler, kind, number)
            return True
        return False

    archive.wrong = wrong
    (row,) = run(archive, tmp_path)
    assert row['status'] == 'failed' and not (tmp_path / 'out' / SERIES).exists()
    assert re.search(message, row['reason']), row['reason']
    said = row['reason'] + (tmp_path / 'out' / 'summary.csv').read_text() + str(capfd.readouterr())
    assert not any(secret in said for secret in ('DOE', SECRET, 'mmcovid-'))


def test_without_encryption_nothing_is_sent_unasked(archive):
    address = f'{archive.base}/{STUDY}'.replace('dicomweb+http', 'dicomweb')
    _, (failure,) = find_scans([address])
    assert 'does not speak TLS' in failure.reason and not archive.requests


def test_a_busy_archive_is_asked_again_a_few_times(archive, tmp_path):
    def busy(handler, kind, number):
        return kind == 'instance' and number < 2 and not handler.send(b'', status=503)

    archive.wrong = busy
    (row,) = run(archive, tmp_path)
    assert row['status'] == 'ok'
    archive.requests.clear()
    archive.wrong = lambda handler, kind, number: not handler.send(b'', status=503)
    (row,) = run(archive, tmp_path, 'busy')
    assert row['status'] == 'failed'
    assert len(archive.requests) == 1 + archive_module.RETRIES


def test_slices_of_another_series_are_refused(archive, tmp_path):
    def mixed(handler, kind, number):
        if kind == 'metadata':
            handler.send_json(*handler.server.headers())
        return kind == 'metadata'

    archive.wrong = mixed
    (row,) = run(archive, tmp_path)
    assert 'slices of another series were retrieved' in row['reason']


@pytest.mark.parametrize(
    'variable, limit, at, message',
    [
        (SLICE_PIXELS, 2000, 'instance', 'an answer is above the limit'),
        (SLICE_PIXELS, 1000, None, '32 x 32 pixels, above the limit of 1000'),
        (MIB, 1, 'metadata', 'above the limit of 1. Nothing was'),
    ],
)
def test_what_is_beyond_the_budget_is_not_taken(
    archive, tmp_path, monkeypatch, variable, limit, at, message
):
    monkeypatch.setenv(variable, str(limit))

    def too_much(handler, kind, number):
        if kind == 'instance' == at:
            handler.send_instance(bytes(10**5))
        elif kind == 'metadata' == at:
            first, *others = handler.server.headers()
            first.Rows = 60_000
            handler.send_json(first, *others)
        return kind == at

    archive.wrong = too_much
    with pytest.raises(BudgetError, match=message):
        series_of(archive).retrieve(tmp_path)
    taken = [kind for kind, *_ in archive.requests].count('instance')
    assert taken == (1 if at == 'instance' else 0)


def test_files_that_are_larger_than_the_list_says_end_the_retrieval(archive, tmp_path, monkeypatch):
    def padded(handler, kind, number):
        if kind == 'instance':
            content = handler.server.files[handler.path.rsplit('/')[-1]]
            handler.send_instance(content + bytes(2**19))
        return kind == 'instance'

    archive.wrong = padded
    monkeypatch.setenv(MIB, '1')
    with pytest.raises(BudgetError, match='files are above the limit of 1 MiB'):
        series_of(archive).retrieve(tmp_path)
    assert [kind for kind, *_ in archive.requests].count('instance') == 2


def test_series_come_in_pages_that_have_an_end(archive, monkeypatch):
    (first, *_) = (each for each in archive.headers() if each.Modality == 'CT')

    def pages(last):
        def answer(handler, kind, number):
            first.SeriesInstanceUID = f'1.2.{min(number, last)}'
            return kind == 'series' and not handler.send_json(first)

        return answer

    study = Archive(Address.parse(f'{archive.base}/{STUDY}'))
    archive.wrong = pages(last=2)
    assert [each.series for each in study.find_series()] == ['1.2.0', '1.2.1', '1.2.2']
    archive.requests.clear()
    archive.wrong = pages(last=10**6)
    monkeypatch.setattr(archive_module, '_MOST_SERIES', 5)
    with pytest.raises(ConnectionError, match='names more than 5 series'):
        study.find_series()


def test_what_is_wrong_with_a_series_is_told_without_the_temporary_folder(tmp_path):
    series = write_series(tmp_path / 'ct', chest(SLICES, 32), step=0)
    with serve(series.iterdir()) as archive:
        (row,) = run(archive, tmp_path)
        (told,) = run(archive, tmp_path, 'paths', keep_paths=True)
    for reason in (row['reason'], told['reason']):
        assert 'two slices at one position' in reason and f'{SERIES}/00001.dcm' in reason
        assert 'mmcovid-' not in reason


def test_only_ct_is_found_and_none_is_told(archive):
    (series,) = find_scans([f'{archive.base}/{STUDY}'])[0].values()
    assert series.path == f'{archive.base}/{STUDY}/series/{SERIES}'
    scans, (failure,) = find_scans([f'{archive.base}/9.9'])
    assert not scans and 'has no CT series' in failure.reason


def test_credentials_are_sent_to_the_archive_and_told_nowhere(archive, tmp_path, monkeypatch):
    run(archive, tmp_path)
    assert {each['Authorization'][:6] for *_, each in archive.requests} == {'Basic '}
    archive.requests.clear()
    monkeypatch.setenv(archive_module.TOKEN, SECRET)
    run(archive, tmp_path, 'token', keep_paths=True)
    assert {each['Authorization'] for *_, each in archive.requests} == {f'Bearer {SECRET}'}
    for path in tmp_path.rglob('*'):
        if path.is_file() and path.name != 'netrc':
            assert SECRET.encode() not in path.read_bytes(), path
    with pytest.raises(ValueError, match='netrc'):
        find_scans([f'dicomweb://me:{SECRET}@127.0.0.1/studies/{STUDY}'])
