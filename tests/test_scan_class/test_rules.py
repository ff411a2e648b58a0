import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcovid.scan_class import RULES

NORMAL, CP, COVID = range(3)


def scores_of(labels, sureness=0.9):
    """A slice of each label, its score ``sureness``."""
    scores = np.full((len(labels), 3), (1 - sureness) / 2)
    scores[np.arange(len(labels)), labels] = sureness
    return scores


@given(
    st.integers(1, 30),
    st.integers(0, 2**32 - 1),
    st.sampled_from([NORMAL, None]),
    st.floats(0.05, 20),
)
def test_rules_give_class_scores(number, seed, normal, spread):
    scores = np.random.default_rng(seed).dirichlet(np.full(3, spread), size=number)
    for name, rule in RULES.items():
        found = rule(scores, normal)
        assert found.shape == (3,) and (found >= 0).all(), name
        assert found.sum() == pytest.approx(1), name


@given(st.integers(1, 40), st.sampled_from([NORMAL, CP, COVID]))
def test_a_scan_whose_slices_agree_is_of_their_class(number, label):
    scores = scores_of([label] * number)
    for name, rule in RULES.items():
        assert name == 'noisy-or' or rule(scores, NORMAL).argmax() == label, name


@pytest.mark.parametrize(
    'name, found',
    [('mean', NORMAL), ('vote', NORMAL), ('top', COVID), ('run', COVID), ('share', COVID)],
)
def test_few_diseased_slices(name, found):
    """Six neighbours of forty, as a lesion makes them."""
    labels = np.zeros(40, int)
    labels[20:26] = COVID
    assert RULES[name](scores_of(labels), NORMAL).argmax() == found


def test_errors_here_and_there_are_no_run():
    labels = np.zeros(40, int)
    labels[[3, 14, 22, 37]] = CP
    scores = scores_of(labels)
    assert RULES['top'](scores, NORMAL).argmax() == CP
    assert RULES['run'](scores, NORMAL).argmax() == NORMAL


def test_the_share_that_makes_a_scan_abnormal():
    for diseased, expected in ((5, NORMAL), (6, COVID)):
        labels = np.zeros(100, int)
        labels[:diseased] = COVID
        found = RULES['share'](scores_of(labels), NORMAL)
        assert found[COVID] == pytest.approx(diseased / (diseased + 5))
        assert found.argmax() == expected
    unsure = scores_of(labels, 0.5)
    assert RULES['share'](unsure, NORMAL)[NORMAL] == 1


def test_noisy_or_is_of_independent_slices():
    scores = np.array([[0.8, 0.1, 0.1], [0.5, 0.2, 0.3]])
    expected = np.array([0.4, 1 - 0.9 * 0.8, 1 - 0.9 * 0.7])
    assert RULES['noisy-or'](scores, NORMAL) == pytest.approx(expected / expected.sum())
    sure = RULES['noisy-or'](scores_of([COVID] * 300, 1.0), NORMAL)
    assert np.isfinite(sure).all()
