import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mmcovid.statistics.mahalanobis import distance_threshold, fit_gaussian, mahalanobis_distance


def draw(n, c=4, seed=0):
    """Features of unequal spread that go together."""
    mix = np.random.default_rng(9).normal(size=(c, c))
    spread = np.array([0.5, 1, 2, 3])
    return np.random.default_rng(seed).normal(size=(n, c)) * spread @ mix + 5


def test_distances_are_those_of_scipy():
    from scipy.spatial.distance import mahalanobis

    features = draw(50_000)  # so many that hardly anything is shrunk
    found = mahalanobis_distance(draw(20, seed=1), *fit_gaussian(features))
    inverse = np.linalg.inv(np.cov(features.T))
    expected = [mahalanobis(each, features.mean(0), inverse) for each in draw(20, seed=1)]
    np.testing.assert_allclose(found, expected, rtol=0.05)


def test_fewer_cases_than_features():
    rng = np.random.default_rng(0)
    mean, whitening = fit_gaussian(rng.normal(size=(10, 40)))
    assert mean.shape == (40,) and whitening.shape == (40, 40)
    near, far = rng.normal(size=(5, 40)), rng.normal(size=(5, 40)) * 5
    distances = [mahalanobis_distance(each, mean, whitening) for each in (near, far)]
    assert np.isfinite(distances).all() and distances[0].max() < distances[1].min()


@pytest.mark.parametrize('features', [np.ones((1, 3)), np.ones((5, 3))])
def test_what_cannot_be_fitted(features):
    with pytest.raises(ValueError, match='two cases'):
        fit_gaussian(features)


@given(
    arrays(float, st.integers(1, 60), elements=st.floats(0, 100)),
    st.floats(0.01, 0.99),
)
def test_no_more_than_the_false_alarm_rate_is_above_the_threshold(distances, rate):
    threshold = distance_threshold(distances, rate)
    assert threshold in distances
    assert (distances > threshold).mean() <= rate
    # the next lower one would be above the rate
    lower = distances[distances < threshold]
    if lower.size:
        assert (distances > lower.max()).sum() > rate * (len(distances) - 1)
