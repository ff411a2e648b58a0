import csv
import html.parser
import json
import re
import shutil
import warnings

import cv2
import numpy as np
import pytest
import SimpleITK as sitk
from browser_utils import Browser, needs_browser
from ct_utils import chest, write_series
from scans_utils import IMAGE_CLASSES, small_inferencer
from schema_utils import check_schema

from mmcovid.ct import apply_window
from mmcovid.reporting.templating import source_hash
from mmcovid.scan_class import DEFAULT_RULE, RULES
from mmcovid.scans import Settings, run_scans
from mmcovid.scans import run as run_module
from mmcovid.version import __version__

SLICES = 5


@pytest.fixture(scope='module')
def scans(tmp_path_factory):
    """A volume, a DICOM series and pictures of the same slices."""
    folder = tmp_path_factory.mktemp('scans')
    hu = chest(SLICES, 48)
    image = sitk.GetImageFromArray(hu)
    image.SetSpacing((6, 6, 3))
    sitk.WriteImage(image, str(folder / 'volume.nrrd'))
    write_series(folder / 'series', hu, FrameOfReferenceUID='1.2.5')
    (folder / 'pictures').mkdir()
    for i, plane in enumerate(hu):
        cv2.imwrite(str(folder / 'pictures' / f'{i}.png'), apply_window(plane))
    return folder


def run(inputs, out, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return run_scans(
            small_inferencer(),
            inputs,
            out,
            Settings(**dict(dict(score_thr=0.05), **settings)),
            show_progress=False,
        )


@pytest.fixture(scope='module')
def done(scans, tmp_path_factory):
    """All three of them, predicted."""
    out = tmp_path_factory.mktemp('done') / 'out'
    rows = run(
        [scans / name for name in ('volume.nrrd', 'series', 'pictures')], out, abstain_below=0.99
    )
    return out, rows


def read(folder):
    results = json.loads((folder / 'results.json').read_text())
    check_schema(results, 'scan_results')
    return results


def visible(out):
    """Names in a folder, without the lock of its summary."""
    return sorted(path.name for path in out.iterdir() if path.name != '.summary.lock')


def summary(out):
    with open(out / 'summary.csv', newline='') as file:
        return list(csv.DictReader(file))


def test_files_and_results(done):
    out, rows = done
    masks = ['consolidation.nii.gz', 'ggo.nii.gz', 'labels.nii.gz', 'lung.nii.gz']
    rest = [
        'profile.png',
        'profile.svg',
        'report.html',
        'results.json',
        'slices.csv',
        'viewer.html',
    ]
    files = {
        name: sorted(path.name for path in (out / name).iterdir())
        for name in ('volume', 'series', 'pictures')
    }
    assert files['volume'] == files['series'] == sorted(masks + rest)
    assert files['pictures'] == sorted(['labels', *rest])
    assert len(list((out / 'pictures' / 'labels').iterdir())) == SLICES
    assert visible(out) == [
        'pictures',
        'series',
        'summary.csv',
        'volume',
    ]

    results = read(out / 'volume')
    assert results['schema_version'] == 1 and results['complete'] and not results['errors']
    assert results['software']['mmcovid'] == __version__
    assert results['model']['config_sha256'] == small_inferencer().config_hash
    assert results['scan']['spacing_mm'] == [6, 6, 3]
    assert results['scan']['window_hu'] == [-600, 1500]
    assert len(results['slices']) == SLICES
    scores = np.array(
        [
            [row['scores'][name] for name in IMAGE_CLASSES]
            for row in results['slices']
            if row['in_region']
        ]
    )
    expected = RULES[DEFAULT_RULE](scores, 0)
    assert list(results['classification']['scores'].values()) == pytest.approx(expected)
    assert results['classification']['class'] == 'undecided'
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(out / 'volume' / 'labels.nii.gz')))
    for k, name in enumerate(('ggo', 'consolidation'), 2):
        assert results['volumes'][name]['voxels'] == (labels == k).sum()
        assert results['volumes'][name]['ml'] == pytest.approx((labels == k).sum() * 0.108)
    assert results['volumes']['lung']['voxels'] == (labels > 0).sum() > 0
    lesions = [lesion for row in results['slices'] for lesion in row['lesions']]
    assert lesions and all(lesion['area_mm2'] == lesion['pixels'] * 36 for lesion in lesions)
    assert np.shape(results['slices'][0]['roi_sequence']['attention']) == (4, 2)


def test_one_scan_in_three_formats(done):
    out, rows = done
    volume, series, pictures = (read(out / name) for name in ('volume', 'series', 'pictures'))
    for other in (series, pictures):
        for row, expected in zip(other['slices'], volume['slices']):
            assert row['scores'] == pytest.approx(expected['scores'], abs=1e-5)
            assert row['pixels'] == expected['pixels']
    assert [each['scan']['kind'] for each in (volume, series, pictures)] == [
        'volume',
        'dicom',
        'pictures',
    ]
    assert pictures['volumes']['lung']['ml'] is None
    assert pictures['slices'][0]['lesions'][0]['area_mm2'] is None
    assert [row['status'] for row in rows] == ['ok'] * 3
    assert [row['scan'] for row in summary(out)] == ['pictures', 'series', 'volume']


class Addresses(html.parser.HTMLParser):
    """All attributes that load or lead somewhere, and kinds of scripts."""

    def __init__(self):
        super().__init__()
        self.found, self.tags, self.scripts = [], set(), []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag == 'script':
            self.scripts.append(dict(attrs).get('type'))
        self.found += [value for key, value in attrs if key in ('src', 'href', 'srcset', 'action')]


@pytest.mark.parametrize('name', ['volume', 'pictures'])
def test_page_needs_nothing_else(done, name):
    text = (done[0] / name / 'report.html').read_text()
    parser = Addresses()
    parser.feed(text)
    beside = {value for value in parser.found if not value.startswith(('#', 'data:'))}
    assert all(value.partition('#')[0] == 'viewer.html' for value in beside) and len(beside) > 1
    assert not parser.tags & {'script', 'link', 'iframe', 'object', 'base'}
    assert not re.search(r'url\(|@import', text)
    assert 'Research use only' in text and 'no medical device' in text
    assert 'Undecided' in text and 'below 0.99' in text
    assert (
        text.count('class-irrelevant branch</figcaption>')
        == len(read(done[0] / name)['suspicious_slices'])
        > 0
    )


@pytest.mark.parametrize('name', ['volume', 'series', 'pictures'])
def test_viewer_needs_nothing_else(done, name):
    text = (done[0] / name / 'viewer.html').read_text()
    parser = Addresses()
    parser.feed(text)
    assert all(value.startswith('#') or value == 'report.html' for value in parser.found)
    assert sorted(map(str, parser.scripts)) == ['None', 'application/json']
    assert not parser.tags & {'link', 'iframe', 'object', 'base'}
    script = text.rsplit('<script>', 1)[1].split('</script>')[0]
    assert f"script-src '{source_hash(script)}'" in text and "default-src 'none'" in text
    assert not re.search(r'url\(|@import|fetch|XMLHttp|innerHTML|eval', text)
    assert 'Research use only' in text


def test_viewer_is_left_out(scans, tmp_path):
    run([scans / 'pictures' / '0.png'], tmp_path, viewer=False)
    assert not (tmp_path / '0' / 'viewer.html').exists()
    assert 'viewer.html' not in (tmp_path / '0' / 'report.html').read_text()


@needs_browser
def test_page_opens_in_a_browser(done, tmp_path):
    with Browser(tmp_path, 420, 900) as browser:
        page = done[0] / 'volume' / 'report.html'
        browser.open(page, until="document.readyState === 'complete'")
        shot = np.frombuffer(browser.photograph(), np.uint8)
    picture = cv2.imdecode(shot, cv2.IMREAD_COLOR)
    assert picture.shape[:2] == (900, 420) and picture.std() > 20  # not a blank page


def test_failures_leave_nothing_and_the_others_go_on(scans, tmp_path, monkeypatch):
    out = tmp_path / 'out'
    (tmp_path / 'broken.nrrd').write_bytes(b'no volume')
    inputs = [
        tmp_path / 'absent',
        tmp_path / 'broken.nrrd',
        scans / 'volume.nrrd',
        scans / 'pictures',
    ]
    write = run_module.write_slice_table

    def fail_once(path, rows):
        monkeypatch.setattr(run_module, 'write_slice_table', write)
        raise RuntimeError('disk on fire')

    monkeypatch.setattr(run_module, 'write_slice_table', fail_once)
    rows = run(inputs, out)
    assert [row['status'] for row in rows] == ['failed'] * 3 + ['ok']
    assert 'no such file' in rows[0]['reason'] and 'cannot be read' in rows[1]['reason']
    assert rows[2]['reason'] == 'RuntimeError: disk on fire'
    assert visible(out) == ['pictures', 'summary.csv']
    assert {row['scan'] or 'absent': row['status'] for row in summary(out)} == dict(
        absent='failed', broken='failed', volume='failed', pictures='ok'
    )
    # what is there is neither overwritten nor forgotten; what failed is tried again
    before = (out / 'pictures' / 'results.json').read_bytes()
    rows = run(inputs[2:], out)
    assert [row['status'] for row in rows] == ['ok', 'failed']
    assert 'exists already' in rows[1]['reason']
    assert (out / 'pictures' / 'results.json').read_bytes() == before
    assert [row['status'] for row in summary(out)] == ['failed', 'failed', 'ok', 'ok']


def test_overwrite_keeps_the_old_until_the_new_is_whole(scans, tmp_path, monkeypatch):
    out, picture = tmp_path / 'out', scans / 'pictures' / '0.png'
    run([picture], out)
    assert read(out / '0')['settings']['score_thr'] == 0.05
    with monkeypatch.context() as broken:
        broken.setattr(run_module, 'render_page', None)
        assert run([picture], out, overwrite=True, score_thr=0.9)[0]['status'] == 'failed'
    assert read(out / '0')['settings']['score_thr'] == 0.05
    assert run([picture], out, overwrite=True, score_thr=0.9)[0]['status'] == 'ok'
    assert read(out / '0')['settings']['score_thr'] == 0.9
    assert visible(out) == ['0', 'summary.csv']
    assert 'profile.svg' not in {path.name for path in (out / '0').iterdir()}  # one slice only


def test_a_scan_with_a_broken_picture_is_incomplete(scans, tmp_path):
    folder = tmp_path / 'patient'
    shutil.copytree(scans / 'pictures', folder)
    (folder / '3.png').write_bytes(b'no picture')
    (row,) = run([folder], tmp_path / 'out')
    assert row['status'] == 'incomplete' and '3.png' in row['reason']
    results = read(tmp_path / 'out' / 'patient')
    assert not results['complete'] and results['scan']['num_slices'] == SLICES
    assert [row['index'] for row in results['slices']] == [0, 1, 2, 4]
    assert [error['input'] for error in results['errors']] == ['patient/3.png']
    assert '3.png' in (tmp_path / 'out' / 'patient' / 'report.html').read_text()
    for path in folder.iterdir():
        path.write_bytes(b'')
    (row,) = run([folder], tmp_path / 'all')
    assert row['status'] == 'failed' and 'and 4 more' in row['reason']


def test_dicom_segmentation_of_a_scan(scans, tmp_path):
    pytest.importorskip('highdicom')
    rows = run([scans / 'series', scans / 'volume.nrrd'], tmp_path, dicom_seg=True)
    assert [row['status'] for row in rows] == ['ok', 'failed']
    assert (tmp_path / 'series' / 'segmentation.dcm').is_file()
    assert 'no DICOM series' in rows[1]['reason']
