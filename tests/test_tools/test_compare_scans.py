"""Two folders of the same scans."""

import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from known_predictor import KnownPredictor

from mmcovid.scans import Settings, run_scans


@pytest.fixture
def scan(tmp_path):
    """A scan, and the labels that are known of it."""
    hu = np.full((3, 24, 24), -1000, np.int16)
    hu[:, 4:20, 4:20] = 40
    labels = np.zeros(hu.shape, np.uint8)
    labels[:, 8:16, 8:16] = 1
    for name, array in (('scan', hu), ('labels', labels)):
        sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / f'{name}.nrrd'))
    return tmp_path


def run(folder, name, score, labels='labels.nrrd'):
    scores = [[0.1, score, 0.9 - score]] * 3
    predictor = KnownPredictor(folder / labels, scores)
    settings = Settings(region='all')
    (line,) = run_scans(predictor, [folder / 'scan.nrrd'], folder / name, settings, False)
    assert line['status'] == 'ok'
    return folder / name


def compare(repo, first, second):
    return subprocess.run(
        [sys.executable, repo / 'tools/misc/compare_scans.py', first, second],
        capture_output=True,
        text=True,
    )


def test_scores_masks_and_missing_scans(repo, scan):
    first = run(scan, 'first', 0.7)
    done = compare(repo, first, run(scan, 'second', 0.7004))
    assert done.returncode == 0 and 'scan: same' in done.stdout, done.stderr
    done = compare(repo, first, run(scan, 'third', 0.71))
    assert done.returncode == 1 and 'DIFFERENT' in done.stdout

    moved = sitk.GetArrayFromImage(sitk.ReadImage(str(scan / 'labels.nrrd')))
    moved[0, 8, 8] = 0
    sitk.WriteImage(sitk.GetImageFromArray(moved), str(scan / 'moved.nrrd'))
    done = compare(repo, first, run(scan, 'fourth', 0.7, 'moved.nrrd'))
    assert done.returncode == 1 and 'masks in 1 of 192 voxels' in done.stdout

    (scan / 'empty').mkdir()
    done = compare(repo, first, scan / 'empty')
    assert done.returncode == 1 and 'lacks scan' in done.stderr
