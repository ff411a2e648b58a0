import numpy as np
import pytest
from decision_oracles import ORACLES, make_cases

from mmcovid.statistics.bootstrap import resample_clusters
from mmcovid.statistics.calibration import coverage_curve
from mmcovid.statistics.selective import COVERAGES, selective_risk

CASES = make_cases(ORACLES.scores, ORACLES.truth)


def test_area_is_the_mean_risk_of_the_most_confident():
    wrong = (CASES.pred != CASES.truth)[np.argsort(-CASES.scores.max(1))]
    expected = np.mean([wrong[: n + 1].mean() for n in range(len(wrong))])
    area, risks = selective_risk(CASES, np.ones((1, len(CASES))))
    assert area[0] == pytest.approx(expected)
    assert 0 < area[0] < risks[0, -1] == pytest.approx(wrong.mean())
    curve = coverage_curve(CASES)
    for coverage, risk in zip(COVERAGES, risks[0]):
        kept = CASES.scores.max(1) >= curve.threshold_at(coverage)
        assert risk == pytest.approx((CASES.pred != CASES.truth)[kept].mean())


def test_confidence_that_tells_nothing_has_the_risk_of_all():
    cases = make_cases(np.full((10, 3), 1 / 3), np.arange(10) % 3)
    area, risks = selective_risk(cases, np.ones((1, 10)))
    assert area[0] == pytest.approx(0.6) and risks[0] == pytest.approx(np.full(20, 0.6))


def test_resamples_are_those_of_the_repeated_cases():
    cases = make_cases(ORACLES.scores, ORACLES.truth, np.arange(len(CASES)) // 4)
    weights = resample_clusters(cases.cluster.max() + 1, 140, seed=0)
    area, risks = selective_risk(cases, weights)
    for row in (1, 140):
        again = np.repeat(np.arange(len(cases)), weights[row, cases.cluster])
        alone = selective_risk(
            make_cases(cases.scores[again], cases.truth[again]), np.ones((1, len(again)))
        )
        assert area[row] == pytest.approx(alone[0][0])
        assert risks[row] == pytest.approx(alone[1][0])
