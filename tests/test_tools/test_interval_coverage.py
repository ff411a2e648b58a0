import numpy as np
import pytest
from scipy.stats import norm
from tools_utils import load_tool

interval_coverage = load_tool('analysis_tools/interval_coverage')


@pytest.mark.parametrize('model', interval_coverage.MODELS)
def test_models_have_the_accuracy_that_is_asked_for(model):
    draws = interval_coverage.MODELS[model](20_000, 2, 0.9, np.random.default_rng(0))
    right = np.stack([cases.pred == cases.truth for cases in draws])
    assert right.mean(1) == pytest.approx(0.9, abs=0.01)
    first, second = right[0].reshape(-1, 2).T
    assert np.corrcoef(first, second)[0, 1] > 0.15  # slices of one patient


def test_percentiles_are_corrected_for_bias():
    draws = np.random.default_rng(0).normal(size=100_000)
    # their median is half a standard deviation too high
    found = interval_coverage.percentile_interval(np.concatenate([[0.0], draws + 0.5]))
    assert found == pytest.approx((-0.5 - norm.ppf(0.975), -0.5 + norm.ppf(0.975)), abs=0.05)
    assert np.isnan(interval_coverage.percentile_interval(np.ones(9))).all()


def share_that_holds(bounds, low, high):
    return np.mean((bounds[:, low] <= bounds[:, 0]) & (bounds[:, 0] <= bounds[:, high]))


def test_few_patients_in_error():
    """Percentiles miss the truth often, the intervals of the report do not."""
    # 200 sets tell a share to 1.6 %, hence two standard errors below 93 %
    found = interval_coverage.simulate(
        interval_coverage.draw_normal, 30, 4, 0.95, sets=200, rounds=200
    )
    sensitivity = found['covid19_sensitivity']
    assert share_that_holds(sensitivity, 1, 2) < 0.85
    for key, bounds in found.items():
        assert share_that_holds(bounds, 3, 4) > 0.90, key
        assert not np.isnan(bounds[:, 3:]).any(), key


@pytest.mark.slow
@pytest.mark.parametrize('model', interval_coverage.MODELS)
@pytest.mark.parametrize('patients, slices, accuracy', [(60, 30, 0.98), (20, 8, 0.9)])
def test_coverage_on_clustered_slices(model, patients, slices, accuracy):
    # 150 sets tell a share to 2 %, hence two and a half standard errors below 93 %
    found = interval_coverage.simulate(
        interval_coverage.MODELS[model], patients, slices, accuracy, sets=150, rounds=200
    )
    for key, bounds in found.items():
        assert share_that_holds(bounds, 3, 4) > 0.88, key


def test_table(capsys):
    interval_coverage.main(['9x2@0.8', '--model', 'beta-binomial', '--sets', '3', '--rounds', '20'])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + len(interval_coverage.FIGURES) - 1  # of hard classes there is no curve
    assert all(line.count('|') == lines[0].count('|') for line in lines)
    with pytest.raises(SystemExit):
        interval_coverage.main(['9x2'])
