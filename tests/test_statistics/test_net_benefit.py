import numpy as np
import pytest
from decision_oracles import ORACLES, make_cases

from mmcovid.statistics.bootstrap import resample_clusters
from mmcovid.statistics.net_benefit import THRESHOLDS, net_benefit

ILL = np.array([False, True, True])
CASES = make_cases(ORACLES.scores, ORACLES.truth)


def test_as_dcurves():
    """With and without a stated prevalence; see tests/data/make_decision_oracles.py."""
    found = np.stack(net_benefit(CASES, ILL, np.ones((1, len(CASES)))))[:, 0]
    assert found == pytest.approx(ORACLES.net_benefit, abs=1e-12)
    # of the ill as many of each class as there are, as dcurves knows but two classes
    count = np.bincount(CASES.truth)
    prevalence = np.array([0.95, *0.05 * count[1:] / count[1:].sum()])
    found = np.stack(net_benefit(CASES, ILL, np.ones((1, len(CASES))), prevalence))[:, 0]
    assert found == pytest.approx(ORACLES.net_benefit_at_5_percent, abs=1e-12)


@pytest.mark.parametrize('prevalence', [None, np.array([0.5, 0.2, 0.3])])
def test_resamples_are_those_of_the_repeated_cases(prevalence):
    cases = make_cases(ORACLES.scores, ORACLES.truth, np.arange(len(CASES)) // 4)
    weights = resample_clusters(cases.cluster.max() + 1, 20, seed=0)
    found = net_benefit(cases, ILL, weights, prevalence)
    for row in (1, 20):
        again = np.repeat(np.arange(len(cases)), weights[row, cases.cluster])
        repeated = make_cases(cases.scores[again], cases.truth[again])
        alone = net_benefit(repeated, ILL, np.ones((1, len(again))), prevalence)
        for one, other in zip(found, alone):
            assert one[row] == pytest.approx(other[0])


def test_a_perfect_score_gains_the_prevalence_at_every_threshold():
    truth = np.array([0, 0, 0, 1, 2])
    cases = make_cases(np.eye(3)[truth], truth)
    score, everyone = net_benefit(cases, ILL, np.ones((1, 5)), np.array([0.9, 0.08, 0.02]))
    assert score[0] == pytest.approx(np.full(99, 0.1))
    assert everyone[0] == pytest.approx(0.1 - 0.9 * THRESHOLDS / (1 - THRESHOLDS))


def test_class_that_is_to_be_met_and_is_not_there():
    truth = np.array([0, 0, 1])
    cases, weights = make_cases(np.eye(3)[truth], truth), np.ones((1, 3))
    assert np.isnan(net_benefit(cases, ILL, weights, np.array([0.8, 0.1, 0.1]))[0]).all()
    assert net_benefit(cases, ILL, weights, np.array([0.8, 0.2, 0]))[0][0] == pytest.approx(0.2)


def test_score_that_reaches_a_threshold_up_to_rounding():
    cases = make_cases(np.array([[0.7, 0.1, 0.2]]), np.array([2]))
    found = net_benefit(cases, ILL, np.ones((1, 1)))[0][0]
    assert found[29] == 1 and found[30] == 0  # 0.1 + 0.2 reaches 0.3, not 0.31
