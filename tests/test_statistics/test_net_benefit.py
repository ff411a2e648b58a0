import numpy as np
import pytest
from decision_oracles import ORACLES, make_cases

from mmcovid.statistics.bootstrap import resample_clusters
from mmcovid.statistics.net_benefit import THRESHOLDS, action_rates, benefit_weights

ILL = np.array([False, True, True])
CASES = make_cases(ORACLES.scores, ORACLES.truth)


def net_benefit(cases, prevalence):
    """Of the scores and of acting on everyone, (2, T)."""
    weights = benefit_weights(ILL, prevalence)
    rates = action_rates(cases, ILL, np.ones((1, len(cases))))[0]
    return np.stack([(weights * rates).sum(1), weights.sum(1)])


def test_as_dcurves():
    """With and without a stated prevalence; see tests/data/make_decision_oracles.py."""
    count = np.bincount(CASES.truth)
    found = net_benefit(CASES, count / count.sum())
    assert found == pytest.approx(ORACLES.net_benefit, abs=1e-12)
    # of the ill as many of each class as there are, as dcurves knows but two classes
    prevalence = np.array([0.95, *0.05 * count[1:] / count[1:].sum()])
    found = net_benefit(CASES, prevalence)
    assert found == pytest.approx(ORACLES.net_benefit_at_5_percent, abs=1e-12)


def test_resamples_are_those_of_the_repeated_cases():
    cases = make_cases(ORACLES.scores, ORACLES.truth, np.arange(len(CASES)) // 4)
    weights = resample_clusters(cases.cluster.max() + 1, 20, seed=0)
    found = action_rates(cases, ILL, weights)
    for row in (1, 20):
        again = np.repeat(np.arange(len(cases)), weights[row, cases.cluster])
        repeated = make_cases(cases.scores[again], cases.truth[again])
        alone = action_rates(repeated, ILL, np.ones((1, len(again))))
        assert found[row] == pytest.approx(alone[0])


def test_a_perfect_score_gains_the_prevalence_at_every_threshold():
    truth = np.array([0, 0, 0, 1, 2])
    score, everyone = net_benefit(make_cases(np.eye(3)[truth], truth), np.array([0.9, 0.08, 0.02]))
    assert score == pytest.approx(np.full(99, 0.1))
    assert everyone == pytest.approx(0.1 - 0.9 * THRESHOLDS / (1 - THRESHOLDS))


def test_score_that_reaches_a_threshold_up_to_rounding():
    cases = make_cases(np.array([[0.7, 0.1, 0.2]]), np.array([2]))
    acted = action_rates(cases, ILL, np.ones((1, 1)))[0]
    assert acted[29, 2] == 1 and acted[30, 2] == 0  # 0.1 + 0.2 reaches 0.3, not 0.31
    assert np.isnan(acted[:, :2]).all()
