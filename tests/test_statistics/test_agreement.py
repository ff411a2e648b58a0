import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmcovid.statistics.agreement import agreement_figures

#: The first 10 pairs of peak flow (Wright and mini Wright meter) in Bland and Altman 1986, table 1.
TRUE = np.array([494, 395, 516, 434, 476, 557, 413, 442, 650, 433])
FOUND = np.array([512, 430, 520, 428, 500, 600, 364, 380, 658, 445])


def figures(true, found, weights=None):
    each = np.arange(len(true))
    weights = np.ones((1, len(true))) if weights is None else weights
    return {key: values for key, values in agreement_figures(true, found, each, weights).items()}


def test_bias_and_limits_are_those_of_the_definition():
    found = figures(TRUE, FOUND)
    difference = FOUND - TRUE
    spread = 1.96 * difference.std(ddof=1)
    assert found['bias'][0] == pytest.approx(difference.mean())
    assert found['limit_low'][0] == pytest.approx(difference.mean() - spread)
    assert found['limit_high'][0] == pytest.approx(difference.mean() + spread)


def test_concordance_is_that_of_the_definition():
    covariance = np.cov(TRUE, FOUND, ddof=0)
    expected = 2 * covariance[0, 1] / (np.trace(covariance) + (TRUE.mean() - FOUND.mean()) ** 2)
    assert figures(TRUE, FOUND)['ccc'][0] == pytest.approx(expected)


def test_perfect_and_opposite_agreement():
    perfect = figures(TRUE, TRUE)
    assert [perfect[key][0] for key in ('bias', 'limit_low', 'limit_high')] == [0, 0, 0]
    assert perfect['ccc'][0] == pytest.approx(1)
    centred = TRUE - TRUE.mean()
    assert figures(centred, -centred)['ccc'][0] == pytest.approx(-1)


def test_what_is_not_defined_is_nan():
    same = figures(np.zeros(3), np.zeros(3))
    assert np.isnan(same['ccc'][0]) and same['bias'][0] == same['limit_low'][0] == 0
    one = figures(np.array([3.0]), np.array([5.0]))
    assert one['bias'][0] == 2 and np.isnan(one['limit_low'][0])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=10, max_size=10).filter(lambda drawn: sum(drawn) > 1))
def test_a_weight_is_so_many_cases(drawn):
    weighted = figures(TRUE, FOUND, np.array([drawn]))
    repeated = figures(np.repeat(TRUE, drawn), np.repeat(FOUND, drawn))
    for key, values in repeated.items():
        assert weighted[key][0] == pytest.approx(values[0], rel=1e-6, abs=1e-6, nan_ok=True)
