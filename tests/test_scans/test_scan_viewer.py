import base64
import json
import re
import zlib

import cv2
import numpy as np
import pytest
import SimpleITK as sitk
from browser_utils import Browser, needs_browser
from ct_utils import chest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis.extra.numpy import array_shapes, arrays
from known_predictor import KnownPredictor

from mmcovid.classes import LESION_CLASSES, Classes
from mmcovid.ct import LEVEL, WIDTH, apply_window
from mmcovid.scans import Settings, run_scans
from mmcovid.scans import viewer as module
from mmcovid.scans.viewer import (
    FLOOR,
    STEP,
    WINDOWS,
    encode,
    reduce_grey,
    reduce_labels,
    to_levels,
)

DEPTH, SIZE = 6, 32
SPACING = (2.0, 1.0, 4.0)
PALETTE = np.array([(0, 0, 0), *Classes.of().palette])


def decode(text, shape):
    """What the script of the page does."""
    rest = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8).reshape(shape)
    plane = np.zeros((shape[0] + 1, shape[1] + 1), int)
    for y, x in np.ndindex(*shape):
        left, above, corner = plane[y + 1, x], plane[y, x + 1], plane[y, x]
        guess = np.clip(left + above - corner, min(left, above), max(left, above))
        plane[y + 1, x + 1] = (rest[y, x] + guess) % 256
    return plane[1:, 1:]


@hypothesis_settings(deadline=None, max_examples=50)
@given(arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=9)))
def test_planes_are_packed_without_loss(plane):
    assert np.array_equal(decode(encode(plane), plane.shape), plane)


def test_the_windows_lose_a_level_or_two():
    hu = np.arange(FLOOR, 3072)
    kept = FLOOR + STEP * to_levels(hu).astype(int)
    for window, most in zip(WINDOWS, (1, 2)):
        seen, shown = (apply_window(each, *window[1:]).astype(int) for each in (hu, kept))
        assert np.abs(seen - shown).max() == most
    assert WINDOWS[0][1:] == (LEVEL, WIDTH)
    assert to_levels(np.array([-3024, FLOOR])).tolist() == [0, 0]


def test_larger_pixels():
    plane = np.array([[0, 4, 8], [4, 8, 1], [2, 2, 5]])
    assert reduce_grey(plane, 2).tolist() == [[4, 4.5], [2, 5]]
    assert reduce_labels(plane, 2).tolist() == [[8, 1], [2, 5]]
    assert reduce_labels(plane, 3).tolist() == [[8]]


def lesions_on(depth):
    """A label map with lungs and, on some slices, lesions, (depth, SIZE, SIZE)."""
    labels = (chest(depth, SIZE) < -500) & (chest(depth, SIZE) > -900)
    labels = labels.astype(np.uint8)
    labels[1, 12:16, 8:12] = 2
    labels[4, 12:20, 21:25] = 3
    return labels


@pytest.fixture(scope='module')
def scans(tmp_path_factory):
    """Folders of a volume and of pictures, with the HU and the labels that they are of."""
    folder = tmp_path_factory.mktemp('viewer')
    hu, labels = chest(DEPTH, SIZE), lesions_on(DEPTH)
    for name, array in (('scan', hu), ('labels', labels)):
        image = sitk.GetImageFromArray(array)
        image.SetSpacing(SPACING)
        sitk.WriteImage(image, str(folder / f'{name}.nrrd'))
    (folder / 'pictures').mkdir()
    for i, plane in enumerate(hu):
        cv2.imwrite(str(folder / 'pictures' / f'{i}.png'), apply_window(plane))
    scores = [[1 - k / 10, 0.0, k / 10] for k in range(DEPTH)]
    predictor = KnownPredictor(folder / 'labels.nrrd', scores)
    inputs = [folder / 'scan.nrrd', folder / 'pictures']
    rows = run_scans(predictor, inputs, folder / 'out', Settings(), show_progress=False)
    assert [row['status'] for row in rows] == ['ok'] * 2
    return folder / 'out', hu, labels


def data_of(page):
    """What the script of a page reads."""
    text = page.read_text(encoding='utf-8')
    return json.loads(re.search(r'id="scan">(.*?)</script>', text, re.DOTALL)[1])


def test_the_page_has_all_voxels(scans):
    out, hu, labels = scans
    data = data_of(out / 'scan' / 'viewer.html')
    assert data['spacing'] == list(SPACING) and data['reduction'] == 1 and data['lung'] == 1
    assert [each['index'] for each in data['slices']] == list(range(DEPTH))
    for each, plane, label in zip(data['slices'], hu, labels):
        assert each['size'] == [SIZE, SIZE]
        assert np.array_equal(decode(each['pixels'], each['size']), to_levels(plane))
        assert np.array_equal(decode(each['labels'], each['size']), label)
    pictures = data_of(out / 'pictures' / 'viewer.html')
    assert pictures['spacing'] is None and pictures['slices'][3]['place'] == '3.png'
    for each, plane in zip(pictures['slices'], hu):
        assert np.array_equal(decode(each['pixels'], each['size']), apply_window(plane))


def test_figures_of_slices(scans):
    slices = data_of(scans[0] / 'scan' / 'viewer.html')['slices']
    # 16 and 32 pixels of 2 mm², in cm²
    assert [each['loads'] for each in slices][1] == [pytest.approx(0.32), 0]
    assert [each['loads'] for each in slices][4] == [0, pytest.approx(0.64)]
    assert slices[3]['scores'] == pytest.approx([0.7, 0, 0.3])
    assert slices[3]['place'] == 'z 12.0 mm'


def test_a_large_scan_has_larger_pixels_and_scores_are_withheld(scans, tmp_path, monkeypatch):
    monkeypatch.setattr(module, 'MOST_VOXELS', DEPTH * SIZE * SIZE // 4)
    source = scans[0].parent
    distances = [1.0, 9.0] * (DEPTH // 2)
    predictor = KnownPredictor(source / 'labels.nrrd', distances=distances, distance_threshold=2.0)
    settings = Settings(abstain_unfamiliar=True)
    run_scans(predictor, [source / 'scan.nrrd'], tmp_path, settings, show_progress=False)
    data = data_of(tmp_path / 'scan' / 'viewer.html')
    assert [each['scores'] is None for each in data['slices']] == [False, True] * (DEPTH // 2)
    assert data['reduction'] == 2 and data['spacing'] == [4, 2, 4]
    each = data['slices'][4]
    assert each['size'] == [SIZE // 2] * 2
    assert np.array_equal(decode(each['labels'], each['size']), scans[2][4][1::2, 1::2])
    assert 'the mean of 2 × 2' in (tmp_path / 'scan' / 'viewer.html').read_text()


def test_slices_that_could_not_be_read_leave_no_gap(scans, tmp_path):
    source = scans[0].parent
    predictor = KnownPredictor(source / 'labels.nrrd', broken=(0, 2))
    inputs = [source / 'scan.nrrd', source / 'pictures']
    run_scans(predictor, inputs, tmp_path, Settings(), show_progress=False)
    volume, pictures = (data_of(tmp_path / k / 'viewer.html') for k in ('scan', 'pictures'))
    assert [each['labels'] is None for each in volume['slices'][:4]] == [True, False, True, False]
    assert volume['slices'][2]['place'] == 'could not be read'
    assert [each['index'] for each in pictures['slices']] == [1, 3, 4, 5]


@pytest.fixture(scope='module')
def hostile(scans, tmp_path_factory):
    """The page of a scan by a model without a lung, whose classes are written to harm."""
    folder = tmp_path_factory.mktemp('hostile')
    predictor = KnownPredictor(scans[0].parent / 'labels.nrrd')
    harm = '</script><script>alert(1)</script>'
    predictor.classes = Classes.of(
        ('a', 'b', harm), ('normal', 'cp', '<!--<script>'), display_names={'a': f'"{harm}'}
    )
    run_scans(predictor, [scans[0].parent / 'scan.nrrd'], folder, Settings(), show_progress=False)
    return folder / 'scan' / 'viewer.html'


def pixels_of(browser, plane):
    """RGB of a canvas, (H, W, 3)."""
    width, height, data = browser.run(
        f'(() => {{ const canvas = document.querySelector(".{plane} canvas");'
        'const {width, height} = canvas;'
        "const shown = canvas.getContext('2d').getImageData(0, 0, width, height);"
        'return [width, height, [...shown.data]]; })()'
    )
    return np.array(data).reshape(height, width, 4)[..., :3]


def tinted(grey, labels):
    """What a reader should see, (H, W, 3): lesions tinted, and the lung outlined."""
    seen = np.repeat(grey[..., None], 3, 2).astype(float)
    lesion = labels > 1
    seen[lesion] = seen[lesion] * 0.65 + PALETTE[labels[lesion]] * 0.35
    inside = np.pad(labels > 0, 1)
    core = inside[1:-1, :-2] & inside[1:-1, 2:] & inside[:-2, 1:-1] & inside[2:, 1:-1]
    seen[(labels > 0) & ~core] = PALETTE[1]
    return seen


def shown_grey(hu, window):
    """HU as the page shows them through a window, without a mask."""
    return apply_window(FLOOR + STEP * to_levels(hu).astype(int), *window[1:])


def slice_of(browser):
    return int(browser.run("document.querySelector('.axial input').value"))


@pytest.fixture(scope='module', params=[(1300, False), (420, True)], ids=['1300', '420'])
def browser(request, tmp_path_factory):
    width, touch = request.param
    with Browser(tmp_path_factory.mktemp('browser'), width, touch=touch) as browser:
        yield browser


@needs_browser
def test_what_is_seen_are_the_voxels(browser, scans):
    out, hu, labels = scans
    browser.open(out / 'scan' / 'viewer.html')
    assert slice_of(browser) == 4  # of the largest lesion
    lung = tinted(shown_grey(hu[4], WINDOWS[0]), labels[4])
    assert np.abs(pixels_of(browser, 'axial') - lung).max() <= 1
    row, column = 16, 22  # within the lesion
    browser.click('.axial .screen', (column + 0.5) / SIZE, (row + 0.5) / SIZE)
    for plane, cut in (('coronal', np.s_[::-1, row]), ('sagittal', np.s_[::-1, :, column])):
        expected = tinted(shown_grey(hu[cut], WINDOWS[0]), labels[cut])
        assert np.abs(pixels_of(browser, plane) - expected).max() <= 1
    said = browser.run("document.getElementById('pixel').textContent")
    assert said == f'column 22, row 16: {FLOOR + STEP * int(to_levels(hu[4])[16, 22])} HU'

    browser.press('w', 'm')  # mediastinum, no masks
    plain = shown_grey(hu[4], WINDOWS[1])[..., None]
    assert np.abs(pixels_of(browser, 'axial') - plain).max() <= 1
    browser.press('m')
    browser.click('input[data-label="1"]')  # the lung's outline
    seen = pixels_of(browser, 'axial')
    assert not (seen == PALETTE[1]).all(2).any()
    assert np.abs(seen[15, 22] - (0.65 * plain[15, 22] + 0.35 * PALETTE[3])).max() <= 1
    browser.click('input[data-label="3"]')
    assert np.abs(pixels_of(browser, 'axial') - plain).max() <= 1


@needs_browser
def test_ways_through_the_slices(browser, scans):
    browser.open(scans[0] / 'scan' / 'viewer.html', '#slice-2')
    assert slice_of(browser) == 2
    for keys, expected in (
        (['ArrowUp'], 3), (['ArrowDown', 'ArrowDown'], 1), (['End'], 5), (['ArrowRight'], 5),
        (['PageDown'], 0), (['PageUp'], 5), (['Home'], 0),
    ):  # fmt: skip
        browser.press(*keys)
        assert slice_of(browser) == expected, keys
    browser.turn('.axial .screen', -120)
    browser.turn('.axial .screen', -120)
    assert browser.run(waited(2))
    browser.click('#profile', 3.5 / DEPTH)
    assert slice_of(browser) == 3
    browser.click('button[data-slice="1"]')
    assert slice_of(browser) == 1
    assert browser.run('document.querySelector(\'button[data-slice="1"]\').ariaCurrent') == 'true'
    place = browser.run("document.getElementById('place').textContent")
    assert place == 'Slice 1, z 4.0 mm (2 of 6)'
    assert browser.run("document.querySelectorAll('.value')[2].textContent") == '0.100'
    browser.click('.coronal .screen', 0.5, (DEPTH - 1 - 4 + 0.5) / DEPTH)
    assert slice_of(browser) == 4


def waited(index):
    """A promise that the reader gets to a slice: wheels and fingers move in their own time."""
    return (
        'new Promise((done) => { let tries = 0; const look = setInterval(() => {'
        f"const there = document.querySelector('.axial input').value === '{index}';"
        'if (there || ++tries > 100) { clearInterval(look); done(there); } }, 20); })'
    )


@needs_browser
def test_shape_of_the_planes(browser, scans):
    browser.open(scans[0] / 'scan' / 'viewer.html')
    x, y, z = np.array(SPACING) * (SIZE, SIZE, DEPTH)
    for plane, aspect in (('axial', x / y), ('coronal', x / z), ('sagittal', y / z)):
        width, height = browser.run(
            f'(() => {{ const box = document.querySelector(".{plane} canvas")'
            '.getBoundingClientRect(); return [box.width, box.height]; })()'
        )
        assert width / height == pytest.approx(aspect, rel=0.02)
    fits = 'document.documentElement.scrollWidth <= window.innerWidth'
    assert browser.run(fits)


@needs_browser
def test_nothing_is_loaded_and_nothing_is_refused(browser, scans, hostile):
    for page in (*(scans[0] / name / 'viewer.html' for name in ('scan', 'pictures')), hostile):
        browser.events.clear()
        browser.open(page)
        asked = [
            event['params']['request']['url']
            for event in browser.events
            if event['method'] == 'Network.requestWillBeSent'
        ]
        assert len(asked) == 1
        told = ('Log.entryAdded', 'Runtime.exceptionThrown', 'Runtime.consoleAPICalled')
        assert not [event for event in browser.events if event['method'] in told]


@needs_browser
def test_pictures_have_one_plane_and_no_window(browser, scans):
    out, hu, labels = scans
    browser.open(out / 'pictures' / 'viewer.html', '#slice-4')
    assert browser.run("document.querySelectorAll('.plane, input[name=window]').length") == 1
    expected = tinted(apply_window(hu[4]), labels[4])
    assert np.abs(pixels_of(browser, 'axial') - expected).max() <= 1
    browser.press('ArrowUp', 'w')
    assert browser.run("document.getElementById('place').textContent").startswith('Slice 5, 5.png')


@needs_browser
def test_a_finger_goes_through_the_slices(scans, tmp_path):
    with Browser(tmp_path, 420, touch=True) as browser:
        browser.open(scans[0] / 'scan' / 'viewer.html', '#slice-1')
        browser.swipe('.axial .screen', 0.3, 0.375)  # 3 of 40 steps
        assert browser.run(waited(4))
        browser.swipe('.axial .screen', 0.6, 0.1)
        assert browser.run(waited(0))


@needs_browser
def test_each_control_has_a_name(browser, scans):
    browser.open(scans[0] / 'scan' / 'viewer.html')
    nodes = browser.send('Accessibility.getFullAXTree')['nodes']
    roles = ('slider', 'checkbox', 'radio', 'button', 'image')
    controls = [node for node in nodes if node.get('role', {}).get('value') in roles]
    names = [node['name'].get('value') for node in controls]
    assert len(names) == 3 + 4 + 2 + 2 * DEPTH + 4 and all(names)  # two lesions a slice
    assert {Classes.of().display(name) for name in LESION_CLASSES} <= set(names)
