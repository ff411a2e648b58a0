import numpy as np
import pytest
from decision_oracles import ORACLES, make_cases
from hypothesis import given, settings
from hypothesis import strategies as st

from mmcovid.statistics.bootstrap import resample_clusters
from mmcovid.statistics.classification import confusion_counts, count_figures
from mmcovid.statistics.prevalence import (
    at_prevalence,
    prevalence_by_counts,
    prevalence_by_em,
    rate_bounds,
    read_prevalence,
    shift_scores,
)

NAMES = ('normal', 'cp', 'covid19')
shares = st.lists(st.floats(0.01, 1), min_size=3, max_size=3).map(lambda v: np.array(v) / sum(v))


def rates_of(cases, weights=None):
    weights = np.ones((1, len(cases))) if weights is None else weights
    return at_prevalence(confusion_counts(cases, weights), np.ones(3))


def predicted_shares(scores):
    return np.bincount(scores.argmax(1), minlength=3)[None] / len(scores)


def test_as_quapy():
    """Its EM and its adjusted count; see tests/data/make_decision_oracles.py."""
    held_out = make_cases(ORACLES.val_scores, ORACLES.val_truth)
    counts = prevalence_by_counts(predicted_shares(ORACLES.scores), rates_of(held_out))
    assert counts[0] == pytest.approx(ORACLES.by_counts, abs=1e-9)
    prior = np.bincount(ORACLES.val_truth, minlength=3) / len(ORACLES.val_truth)
    every = np.arange(len(ORACLES.scores))
    found = prevalence_by_em(ORACLES.scores, prior[None], every, np.ones((1, len(every))))
    assert found[0] == pytest.approx(ORACLES.by_em, abs=1e-5)
    shifted = shift_scores(ORACLES.scores, prior, ORACLES.by_em)
    assert shifted == pytest.approx(ORACLES.corrected, abs=1e-6)


def test_resamples_are_estimated_as_if_repeated():
    cluster = np.arange(len(ORACLES.scores)) // 3
    weights = resample_clusters(cluster.max() + 1, 140, seed=0)  # more than one chunk
    prior = np.tile([0.4, 0.35, 0.25], (len(weights), 1))
    prior[-1] = 0.2, 0.3, 0.5
    found = prevalence_by_em(ORACLES.scores, prior, cluster, weights)
    for row in (3, 140):
        repeated = np.repeat(ORACLES.scores, weights[row, cluster], axis=0)
        every = np.arange(len(repeated))
        alone = prevalence_by_em(repeated, prior[row][None], every, np.ones((1, len(every))))
        assert found[row] == pytest.approx(alone[0], abs=1e-5)


@settings(max_examples=40, deadline=None)
@given(shares, shares, st.integers(0, 99))
def test_shifted_scores_are_those_of_bayes_and_can_be_shifted_back(prior, prevalence, seed):
    scores = np.random.default_rng(seed).dirichlet(np.ones(3), 20)
    shifted = shift_scores(scores, prior, prevalence)
    likelihood = scores / prior
    assert shifted == pytest.approx(
        prevalence * likelihood / (prevalence * likelihood).sum(1, keepdims=True)
    )
    assert shift_scores(shifted, prevalence, prior) == pytest.approx(scores)


def test_class_that_the_validation_set_lacks():
    scores = np.array([[0.5, 0.2, 0.3], [0.0, 1.0, 0.0]])
    prior, prevalence = np.array([0.5, 0, 0.5]), np.array([0.9, 0, 0.1])
    shifted = shift_scores(scores, prior, prevalence)
    assert shifted[0] == pytest.approx([0.9 * 0.5 / 0.48, 0, 0.1 * 0.3 / 0.48])
    assert shifted[1].tolist() == prevalence.tolist()  # only a class that is never met fits
    with pytest.raises(ValueError, match='has no case in the validation set'):
        shift_scores(scores, prior, np.array([0.9, 0.05, 0.05]))
    one = np.ones((1, 2))
    assert prevalence_by_em(scores, prior[None], np.arange(2), one)[0, 1] == 0
    rates = np.array([[[0.9, 0, 0.1], [np.nan] * 3, [0.2, 0, 0.8]]])
    counts = prevalence_by_counts(np.array([[0.55, 0, 0.45]]), rates)
    assert counts[0] == pytest.approx([0.5, 0, 0.5])


def test_predictive_values_at_a_prevalence():
    """The textbook's: 0.9 sensitivity, 0.95 specificity, one case in a hundred."""
    matrix = np.array([[[95, 5, 0], [10, 90, 0], [0, 0, 0]]])
    prevalence = np.array([0.99, 0.01, 0])
    figures = count_figures(at_prevalence(matrix, prevalence))
    assert figures['ppv'][0, 1] == pytest.approx(0.9 * 0.01 / (0.9 * 0.01 + 0.05 * 0.99))
    assert figures['npv'][0, 1] == pytest.approx(0.95 * 0.99 / (0.95 * 0.99 + 0.1 * 0.01))
    assert figures['accuracy'][0] == pytest.approx(0.95 * 0.99 + 0.9 * 0.01)
    lacking = count_figures(at_prevalence(matrix, np.array([0.9, 0.05, 0.05])))
    assert np.isnan(lacking['ppv']).all()


def test_bounds_of_rates_are_put_together_at_their_worst():
    """Ten patients of each class and no error: Wilson's interval of 0 in 10 is 0 to 0.2775."""
    prevalence = np.array([0.98, 0.02, 0])
    bounds = rate_bounds(np.eye(3), np.array([10.0, 10.0, 0]), prevalence)
    low, wrong = 1 - 0.27753, 0.27753
    assert bounds['sensitivity'][1] == pytest.approx([low, 1], abs=1e-4)
    assert bounds['specificity'][1] == pytest.approx([low, 1], abs=1e-4)
    ppv = 0.02 * low / (0.02 * low + 0.98 * wrong)
    npv = 0.98 * low / (0.98 * low + 0.02 * wrong)
    assert bounds['ppv'][1] == pytest.approx([ppv, 1], abs=1e-4)
    assert bounds['npv'][1] == pytest.approx([npv, 1], abs=1e-4)
    assert bounds['accuracy'] == pytest.approx([low, 1], abs=1e-4)


def test_both_find_the_prevalence_of_calibrated_scores():
    """20,000 scores of two normal variables each, whose posteriors are known."""
    rng = np.random.default_rng(0)
    means = 2 * np.eye(3)
    for prevalence in ([0.9, 0.07, 0.03], [0.1, 0.2, 0.7]):
        truth = rng.choice(3, 20_000, p=prevalence)
        x = means[truth] + rng.normal(size=(20_000, 3))
        scores = np.exp(x @ means.T)
        scores /= scores.sum(1, keepdims=True)  # of equally frequent classes
        every = np.arange(len(truth))
        prior = np.full((1, 3), 1 / 3)
        by_em = prevalence_by_em(scores, prior, every, np.ones((1, len(every))))
        assert by_em[0] == pytest.approx(prevalence, abs=0.01)
        by_counts = prevalence_by_counts(
            predicted_shares(scores), rates_of(make_cases(scores, truth))
        )
        assert by_counts[0] == pytest.approx(np.bincount(truth) / len(truth), abs=1e-9)


@pytest.mark.parametrize(
    'text',
    [
        'normal=0.9,cp=0.1',
        'normal=0.9,cp=0.05,covid=0.05',
        'normal=0.9,cp=0.05,covid19=0.1',
        'normal=1.1,cp=-0.05,covid19=-0.05',
        'normal=0.9,normal=0.9,cp=0.05,covid19=0.05',
        'normal=nan,cp=0.05,covid19=0.05',
        'often',
        '',
    ],
)
def test_prevalence_that_is_none_is_told_with_an_example(text):
    with pytest.raises(ValueError, match='such as normal=0.33,cp=0.33,covid19=0.33'):
        read_prevalence(text, NAMES)


def test_stated_prevalence():
    assert read_prevalence('cp=0.07, covid19=0.03,normal=0.9', NAMES).tolist() == [0.9, 0.07, 0.03]
