"""What a run of scans gives out of a model that has a learned rule for the class of a scan."""

import csv
import json

import numpy as np
import pytest
import SimpleITK as sitk
from known_predictor import KnownPredictor
from scan_class_utils import VECTOR_SIZE, random_rule
from schema_utils import check_schema

from mmcovid.scan_class import RULES, Slices, relative_heights
from mmcovid.scan_class.load import VECTORS
from mmcovid.scans import Settings, run_scans

NUMBER = 9
RNG = np.random.default_rng(0)
SCORES = RNG.dirichlet(np.ones(3), size=NUMBER)
VECTORS_OF_SCAN = RNG.normal(size=(NUMBER, VECTOR_SIZE)).astype(np.float32)
RULE = random_rule('vectors', RNG, region='all', slice_temperature=1.5)


@pytest.fixture
def scan(tmp_path):
    for name in ('scan', 'labels'):
        array = np.ones((NUMBER, 16, 16), np.int16)
        sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / f'{name}.nrrd'))
    return tmp_path / 'scan.nrrd'


def run(scan, rule=RULE, vectors=VECTORS_OF_SCAN, broken=(), **settings):
    out = scan.parent / 'out'
    labels = scan.parent / 'labels.nrrd'
    predictor = KnownPredictor(labels, SCORES.tolist(), broken, vectors=vectors, scan_rule=rule)
    settings = Settings(**{**dict(region='all'), **settings})
    (row,) = run_scans(predictor, [scan], out, settings, show_progress=False)
    if row['status'] == 'failed':
        return row, None
    results = json.loads((out / 'scan' / 'results.json').read_text())
    check_schema(results, 'scan_results')
    return row, results


def test_it_is_the_default_and_all_files_tell_its_weights(scan):
    row, results = run(scan)
    scores, weights = RULE(Slices(relative_heights(np.arange(NUMBER)), SCORES, VECTORS_OF_SCAN))
    found = results['classification']
    assert found['aggregate'] == results['settings']['aggregate'] == 'learned'
    assert list(found['scores'].values()) == pytest.approx(scores)
    assert [each['weight'] for each in results['slices']] == pytest.approx(weights)
    folder = scan.parent / 'out/scan'
    with open(folder / 'slices.csv', newline='') as file:
        table = [float(line['weight']) for line in csv.DictReader(file)]
    assert table == pytest.approx(weights)
    assert int(weights.argmax()) in results['suspicious_slices']
    page = (folder / 'report.html').read_text()
    assert 'fitted to scans, over what the model says of 9 of 9' in page
    assert 'of most weight in the class of the scan' in page and 'its weight in the' in page


def test_slices_that_cannot_be_read_leave_the_others_where_they_are(scan):
    _, results = run(scan, broken=(4,))
    kept = np.delete(np.arange(NUMBER), 4)
    told = Slices(relative_heights(kept), SCORES[kept], VECTORS_OF_SCAN[kept])
    assert list(results['classification']['scores'].values()) == pytest.approx(RULE(told)[0])


def test_simple_rules_are_there_by_name(scan):
    _, results = run(scan, aggregate='mean')
    assert results['classification']['aggregate'] == 'mean'
    wanted = RULES['mean'](SCORES, 0)
    assert list(results['classification']['scores'].values()) == pytest.approx(wanted)
    assert 'weight' not in results['slices'][0]
    page = (scan.parent / 'out/scan/report.html').read_text()
    assert 'Mean of the scores' in page and 'weight in the' not in page


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(rule=None, aggregate='learned'), 'no learned rule .* Fit one by mmcovid scan-class'),
        (dict(region='lung'), 'fitted with --region all, not lung. Leave that out'),
        (
            dict(rule=random_rule('scores', RNG, region='all', slice_temperature=2.0)),
            'fitted with --temperature 2.0, not 1.5',
        ),
    ],
)
def test_what_the_rule_was_not_fitted_to_is_told_before_the_first_scan(scan, options, message):
    with pytest.raises(ValueError, match=message):
        run(scan, **options)
    assert not (scan.parent / 'out').exists()


def test_image_vectors_are_kept_if_asked_for(scan):
    _, results = run(scan, keep_vectors=True, broken=(0,))
    path = scan.parent / 'out/scan' / VECTORS
    assert (np.load(path, allow_pickle=False) == VECTORS_OF_SCAN[1:]).all()
    assert results['files'][VECTORS] == 'image vectors of the slices'
    run(scan, overwrite=True)
    assert not path.exists()


def test_a_model_without_image_vectors_is_told(scan):
    nothing = [None] * NUMBER
    row, _ = run(scan, rule=None, vectors=nothing, keep_vectors=True)
    assert 'the model gives no image vectors. Leave out --keep-vectors' in row['reason']
    row, _ = run(scan, vectors=nothing)
    assert 'reads image vectors, which this model does not give' in row['reason']
