import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, norm, ttest_1samp

from mmcovid.results import Estimate
from mmcovid.statistics.bootstrap import (
    Resamples,
    add_estimates,
    degrees_of_freedom,
    effective_clusters,
    leave_out_clusters,
    resample_clusters,
    weighted_means,
    weighted_sums,
)


def test_resamples_draw_as_many_clusters_as_there_are():
    weights = resample_clusters(17, 200, seed=3)
    assert weights.shape == (201, 17)
    assert (weights[0] == 1).all()
    assert (weights.sum(1) == 17).all()
    assert abs(weights[1:].mean(0) - 1).max() < 0.3
    assert np.array_equal(weights, resample_clusters(17, 200, seed=3))
    assert not np.array_equal(weights, resample_clusters(17, 200, seed=4))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.integers(1, 300), st.integers(0, 99))
def test_sums_are_those_of_the_repeated_samples(clusters, rounds, seed):
    rng = np.random.default_rng(seed)
    cluster = rng.integers(clusters, size=30)
    values = rng.normal(size=(30, 2))
    weights = resample_clusters(clusters, rounds, seed)
    sums = weighted_sums(values, cluster, weights)
    for row in (0, rounds):
        repeated = np.repeat(values, weights[row, cluster], axis=0)
        assert sums[row] == pytest.approx(repeated.sum(0))


def mean(values, resamples):
    """Mean of one value per patient, for each row of the weights."""
    sums = weighted_sums(
        np.column_stack([values, np.ones(len(values))]), np.arange(len(values)), resamples.weights
    )
    return sums[:, 0] / sums[:, 1]


def test_each_cluster_is_left_out_once():
    assert leave_out_clusters(3).tolist() == [[0, 1, 1], [1, 0, 1], [1, 1, 0]]
    many = leave_out_clusters(1203)
    assert many.shape == (500, 1203) and (many.sum(0) == 499).all()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_effective_clusters(sizes):
    cluster = np.repeat(np.arange(len(sizes)), sizes)
    assert 1 <= effective_clusters(cluster) <= len(sizes) + 1e-9
    equal = np.repeat(np.arange(len(sizes)), sizes[0])
    assert effective_clusters(equal) == pytest.approx(len(sizes))
    assert effective_clusters(cluster[:0]) == 0


def test_degrees_of_freedom_tell_how_many_clusters_make_up_the_error():
    one, five = np.zeros(1000), np.zeros(1000)
    one[0], five[:5] = 1, 1
    assert degrees_of_freedom(one) == pytest.approx(2, abs=0.01)
    assert degrees_of_freedom(five) == pytest.approx(10, abs=0.2)
    normal = np.random.default_rng(0).normal(size=1000)
    assert degrees_of_freedom(normal) == pytest.approx(1000, rel=0.2)
    assert degrees_of_freedom(np.resize([-1.0, 1], 10)) == 9
    assert degrees_of_freedom(np.ones(10)) == 9


def test_interval_of_a_mean_is_that_of_student():
    values = np.random.default_rng(0).normal(3, 2, 60)
    resamples = Resamples(60, 4000, seed=0)
    found = resamples.estimate(mean(values, resamples), scale='linear')
    expected = ttest_1samp(values, 0).confidence_interval()
    width = expected.high - expected.low
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(expected.low, abs=0.03 * width)
    assert found.high == pytest.approx(expected.high, abs=0.03 * width)


@pytest.mark.parametrize('scale,least,most', [('logit', 0, 1), ('log', 0, np.inf)])
def test_bounds_stay_in_the_range_of_the_figure(scale, least, most):
    """One patient of twelve has all the error, as where nearly every slice is right."""
    resamples = Resamples(12, 500, seed=0)
    found = resamples.estimate(mean(np.eye(12)[0] * 0.8, resamples), scale=scale)
    assert least < found.low < found.value < found.high < most
    assert resamples.estimate(mean(np.eye(12)[0] * 0.8, resamples), scale='linear').low < 0


@pytest.mark.parametrize('right', [0, 40])
def test_proportion_of_0_or_1_has_the_interval_of_wilson(right):
    resamples = Resamples(40, 50, seed=0)
    values = mean(np.arange(40) < right, resamples)
    found = resamples.estimate(values, patients=40)
    expected = binomtest(right, 40).proportion_ci(method='wilson')
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert found.low < found.high
    unknown = resamples.estimate(values)
    assert unknown.low == unknown.high == right / 40


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=3, max_size=25), st.integers(0, 99))
def test_bounds_of_proportions(right, seed):
    """They hold it, stay in 0..1 and are no wider than with one slice for each patient."""
    resamples = Resamples(len(right), 100, seed)
    values, number = mean(np.array(right) / 6, resamples), len(right)
    found = resamples.estimate(values, patients=number)
    assert 0 <= found.low <= found.value + 1e-9
    assert found.value - 1e-9 <= found.high <= 1
    z = norm.ppf(0.975)
    for bound in (found.low, found.high):  # Wilson's interval solves this, if less is more
        assert abs(bound - found.value) <= z * np.sqrt(bound * (1 - bound) / number) + 1e-9
    other = resamples.estimate(1 - values, patients=number)
    assert (1 - other.high, 1 - other.low) == pytest.approx((found.low, found.high), abs=1e-9)


def test_figures_that_resamples_do_not_define():
    resamples = Resamples(4, 100, seed=0)
    half = np.full(105, 0.5)
    half[1:101:2] = np.nan
    assert np.isnan(resamples.estimate(half).low)
    few = np.full(105, 0.5)
    few[1:5] = np.nan, np.inf, np.nan, np.nan
    assert resamples.estimate(few).low == 0.5
    assert np.isnan(resamples.estimate(np.full(105, np.nan), patients=4).low)


def test_interval_of_a_difference_of_proportions_is_that_of_newcombe():
    """Method 10 of Newcombe (Stat. Med. 17, 1998), of 56 of 70 and 48 of 80: 0.0524 to 0.3339."""
    shares = [
        Estimate(right / number, *binomtest(right, number).proportion_ci(method='wilson'))
        for right, number in ((56, 70), (48, 80))
    ]
    found = add_estimates([*shares, Estimate(*[np.nan] * 3)], [1, -1, 0])
    assert found.value == pytest.approx(0.2)
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_means_are_of_the_samples_that_have_a_value():
    values = np.array([[1.0, np.nan], [3.0, 5.0], [2.0, np.nan]])
    weights = np.array([[1, 1], [2, 0], [0, 3]])
    means = weighted_means(values, np.array([0, 0, 1]), weights)
    np.testing.assert_allclose(means, [[2, 5], [2, 5], [2, np.nan]])


def test_share_is_that_of_the_set_with_the_interval_of_its_patients():
    cluster = np.repeat(np.arange(20), 3)
    is_so = np.arange(60) % 4 == 0
    found = Resamples(20, 200, seed=0).share(is_so, cluster)
    assert found.value == 0.25 and 0 < found.low < 0.25 < found.high < 1
