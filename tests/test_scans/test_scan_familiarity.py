"""What a run of scans gives out of a model that knows its training data."""

import csv
import json

import numpy as np
import pytest
import SimpleITK as sitk
from known_predictor import KnownPredictor
from schema_utils import check_schema

from mmcovid.cli.infer import tell
from mmcovid.scans import Settings, run_scans


@pytest.fixture
def scan(tmp_path):
    for name in ('scan', 'labels'):
        array = np.ones((3, 16, 16), np.int16)
        sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / f'{name}.nrrd'))
    return tmp_path / 'scan.nrrd'


def run(scan, distances, threshold, **settings):
    out = scan.parent / 'out'
    predictor = KnownPredictor(
        scan.parent / 'labels.nrrd', distances=distances, distance_threshold=threshold
    )
    settings = Settings(region='all', **settings)
    (row,) = run_scans(predictor, [scan], out, settings, show_progress=False)
    results = json.loads((out / 'scan' / 'results.json').read_text())
    check_schema(results, 'scan_results')
    return row, results


def read_csv(path):
    with open(path, newline='') as file:
        return list(csv.DictReader(file))


def test_all_files_tell_what_is_unlike_the_training_data(scan):
    row, results = run(scan, [30.0, 9.0, 30.0], threshold=10.0)
    folder = scan.parent / 'out'
    assert results['familiarity'] == dict(
        familiar=False, distance=23.0, threshold=10.0, num_unfamiliar=2, num_slices=3
    )
    assert [each['familiar'] for each in results['slices']] == [False, True, False]
    assert [each['familiar'] for each in read_csv(folder / 'scan/slices.csv')] == [
        'False',
        'True',
        'False',
    ]
    (line,) = read_csv(folder / 'summary.csv')
    assert (line['feature_distance'], line['familiar']) == ('23.0', 'False')
    assert line['class'] == 'covid19'
    assert 'UNLIKE THE TRAINING DATA' in tell(row)
    page = (folder / 'scan/report.html').read_text()
    assert 'unlike the training data' in page and 'distance from' in page  # also in the profile


def test_abstains_where_it_is_asked_to(scan):
    row, results = run(scan, [30.0, 9.0, 30.0], threshold=10.0, abstain_unfamiliar=True)
    assert row['class'] == results['classification']['class'] == 'undecided'
    assert results['settings']['abstain_unfamiliar']


def test_a_model_that_does_not_know_its_training_data_says_nothing(scan):
    row, results = run(scan, None, None)
    assert results['familiarity'] is None and 'familiar' not in results['slices'][0]
    folder = scan.parent / 'out'
    assert 'familiar' not in row
    assert 'familiar' not in read_csv(folder / 'scan/slices.csv')[0]
    assert 'distance' not in (folder / 'scan/report.html').read_text()


def test_nor_can_it_abstain_which_is_told_before_the_first_scan(scan):
    with pytest.raises(ValueError, match='does not know its training data. Publish it with'):
        run(scan, None, None, abstain_unfamiliar=True)
    assert not (scan.parent / 'out').exists()
