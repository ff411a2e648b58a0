"""Outputs of a scan whose names are written to harm: each is text to its reader."""

import csv
import json
import os
import re
import warnings

import cv2
import numpy as np
import pytest
import SimpleITK as sitk
from ct_utils import chest
from known_predictor import KnownPredictor

from mmcovid.classes import Classes
from mmcovid.ct import read_volume
from mmcovid.results import ModelInfo
from mmcovid.scans import Settings, run_scans
from mmcovid.scans.inputs import find_scans

#: A name of a file that is a formula, HTML, markup and an escape sequence of a terminal, and TeX.
HOSTILE = '=1+1<script>alert(1)<b>[red][x]\x1b[2J\u202e$\\frac$\n'
NO_UTF8 = HOSTILE + os.fsdecode(b'\xff')
LESIONS = ('../../lung', '=cmd|x!A1', '<b>labels')


@pytest.fixture
def results(tmp_path, capfd):
    """A volume and a folder of pictures of such names, by a model of such classes."""
    inputs = tmp_path / 'in'
    (inputs / NO_UTF8).mkdir(parents=True)
    hu = chest(3, 32)
    for i, plane in enumerate(hu):
        encoded = cv2.imencode('.png', plane.astype(np.uint8))[1]
        (inputs / NO_UTF8 / f'{i}{NO_UTF8}.png').write_bytes(encoded.tobytes())
    sitk.WriteImage(sitk.GetImageFromArray(hu), str(inputs / 'plain.nrrd'))
    (inputs / 'plain.nrrd').rename(inputs / f'{HOSTILE}.nrrd')
    labels = np.random.default_rng(0).integers(0, 4, hu.shape).astype(np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(labels), str(tmp_path / 'labels.nrrd'))
    predictor = KnownPredictor(tmp_path / 'labels.nrrd', broken=(1,))
    predictor.classes = Classes.of(
        LESIONS,
        ('<i>normal', '=cp', '\x1b]0;x\x07'),
        display_names={'<b>labels': '$\\frac$<script>', '=cp': '<script>cp'},
    )
    predictor.model_info = ModelInfo('<script>m', None, f'/x/{HOSTILE}.pth', None)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        rows = run_scans(
            predictor,
            [inputs / NO_UTF8, inputs / f'{HOSTILE}.nrrd'],
            tmp_path / 'out',
            Settings(),
        )
    assert [row['status'] for row in rows] == ['incomplete'] * 2
    return tmp_path / 'out', capfd.readouterr()


def test_each_output_is_text_to_its_reader(results):
    out, printed = results
    pages = list(out.rglob('report.html'))
    assert len(pages) == 2
    for page in pages:
        text = page.read_text(encoding='utf-8')
        assert '<script' not in text and '<i>normal' not in text and '<b>labels' not in text
        assert '&lt;script&gt;' in text
        assert "default-src 'none'" in text
        addresses = re.findall(r'(?:src|href)="([^"]*)"', text)
        assert all(each.startswith(('#', 'data:', 'viewer.html')) for each in addresses)
        viewer = page.with_name('viewer.html').read_text(encoding='utf-8')
        assert viewer.count('<script') == 2 and '<i>normal' not in viewer

    tables = [out / 'summary.csv', *out.rglob('slices.csv')]
    assert len(tables) == 3
    for table in tables:
        with open(table, newline='', encoding='utf-8') as file:
            cells = [cell for line in csv.reader(file) for cell in line]
        assert any(cell.startswith("'=") for cell in cells)
        assert not any(re.match(r'[=+\-@\t\r](?![\d.]+$)', cell) for cell in cells)

    for file in out.rglob('results.json'):
        told = json.loads(file.read_text(encoding='utf-8'))
        assert HOSTILE in told['scan']['path']  # JSON reads back what it was
        assert told['model']['classes'] == list(LESIONS)

    # nothing is outside, and every name can be one of a file anywhere
    assert {path.name for path in out.parent.iterdir()} == {'in', 'labels.nrrd', 'out'}
    for path in out.rglob('*'):
        assert path.name.isprintable() and not set(path.name) & set('\\:*?"<>|')
    masks = {path.name for path in out.rglob('*.nii.gz')}
    assert masks == {'labels.nii.gz', '_.._.._lung.nii.gz', '=cmd_x!A1.nii.gz', '_b_labels.nii.gz'}

    assert '\x1b[2J' not in printed.out + printed.err


def test_a_class_called_as_the_label_map_does_not_replace_it(tmp_path):
    hu = chest(2, 32)
    sitk.WriteImage(sitk.GetImageFromArray(hu), str(tmp_path / 'scan.nrrd'))
    labels = np.random.default_rng(0).integers(0, 4, hu.shape).astype(np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(labels), str(tmp_path / 'truth.nrrd'))
    predictor = KnownPredictor(tmp_path / 'truth.nrrd')
    predictor.classes = Classes.of(('labels', 'a/b', 'a_b'))
    run_scans(predictor, [tmp_path / 'scan.nrrd'], tmp_path / 'out', show_progress=False)
    masks = {path.name: path for path in (tmp_path / 'out' / 'scan').glob('*.nii.gz')}
    assert set(masks) == {'labels.nii.gz', 'labels-2.nii.gz', 'a_b.nii.gz', 'a_b-2.nii.gz'}
    assert set(np.unique(sitk.GetArrayFromImage(sitk.ReadImage(masks['labels.nii.gz'])))) == {
        0,
        1,
        2,
        3,
    }


@pytest.mark.parametrize('name', ['..nii', '...nii', 'x' * 240 + '.nii', 'CON.nii'])
def test_a_scan_is_never_called_as_the_folder_of_all(tmp_path, name):
    """Or as its parent: results that replace a scan would have replaced these."""
    (tmp_path / name).touch()
    (called,) = find_scans([tmp_path / name])[0]
    assert called not in ('', '.', '..', 'CON') and len(called) < 220


def test_a_volume_whose_name_is_no_utf8_is_refused(tmp_path):
    """ITK would abort the process."""
    (tmp_path / f'{NO_UTF8}.nrrd').touch()
    with pytest.raises(ValueError, match='no UTF-8, which ITK needs. Rename it'):
        read_volume(tmp_path / f'{NO_UTF8}.nrrd')


def test_colours_of_a_model_are_numbers():
    for color in (('red;background:url(https://x)', 0, 0), (0, 0, 256), (0.5, 0, 0), (1, 2)):
        with pytest.raises(ValueError, match='is not of three whole numbers'):
            Classes.from_meta(dict(classes=('lung',), palette=[color]))
