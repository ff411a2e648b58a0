import numpy as np
import pytest
import torch

from mmcovid.models.image_heads import BaseImageHead
from mmcovid.statistics.bootstrap import resample_clusters
from mmcovid.statistics.calibration import (
    coverage_curve,
    fit_temperature,
    image_scores,
    log_scores,
    reliability,
    sharpen,
)
from mmcovid.statistics.classification import Cases, calibration_figures


class Head(BaseImageHead):
    def embed(self, feats):
        return feats

    def classify(self, vectors):
        return vectors


def calibrated_slices(n=20_000, seed=0):
    """Logits whose scores are the probabilities of the labels."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (n, 3))
    chances = image_scores(logits).cumsum(1)
    return logits, (rng.random((n, 1)) > chances).sum(1).clip(max=2)


def test_scores_are_those_of_the_heads():
    logits = torch.randn(5, 3) * 4
    for temperature in (1.0, 2.5):
        results = Head(temperature=temperature).predict(logits)
        expected = image_scores(logits.double().numpy(), temperature)
        assert torch.stack([r['score'] for r in results]).numpy() == pytest.approx(expected)
        assert [int(r['label']) for r in results] == logits.argmax(1).tolist()
        assert torch.equal(torch.stack([r['logits'] for r in results]), logits)
    with pytest.raises(ValueError, match='temperature must be greater than 0'):
        Head(temperature=0.0)


def test_temperature_is_found_and_calibrates():
    logits, truth = calibrated_slices()
    assert fit_temperature(logits, truth).temperature == pytest.approx(1, abs=0.03)
    fit = fit_temperature(3 * logits, truth)
    assert fit.temperature == pytest.approx(3, abs=0.1)
    assert fit.nll_after < fit.nll_before and fit.note == ''
    weights = resample_clusters(1, 1, 0)
    ece = []
    for scores in (image_scores(3 * logits), image_scores(3 * logits, fit.temperature)):
        cases = Cases(
            np.arange(len(truth)), truth, scores.argmax(1), scores, np.zeros(len(truth), int)
        )
        ece.append(calibration_figures(cases, weights)['ece'][0])
    assert ece[0] > 0.08 and ece[1] < 0.02


@pytest.mark.parametrize(
    'truth, why',
    [
        (np.arange(3), 'hardly a slice is classified wrongly'),
        ((np.arange(3) + 1) % 3, 'the classes are no better than chance'),
    ],
)
def test_slices_that_fit_no_temperature_leave_it_at_1(truth, why):
    fit = fit_temperature(10 * np.eye(3) - 5, truth)
    assert fit.temperature == 1 and fit.nll_after == fit.nll_before
    assert why in fit.note


def test_means_over_slices_are_sharpened():
    """The scores of 20 slices of a patient, each little better than chance, tell much together."""
    rng = np.random.default_rng(0)
    truth = rng.integers(3, size=2000)
    x = 0.6 * np.eye(3)[truth][:, None] + rng.normal(size=(2000, 20, 3))
    posterior = sharpen((0.6 * x).sum(1))  # of the slices together
    mean = sharpen(0.6 * x).mean(1)
    fit = fit_temperature(log_scores(mean), truth, sharpen, 'patient')
    assert fit.temperature < 0.2 and fit.note == ''
    found = sharpen(log_scores(mean), fit.temperature)
    assert np.abs(found - posterior).mean() < 0.05 < np.abs(mean - posterior).mean()
    right = fit_temperature(log_scores(np.eye(3)), np.arange(3), sharpen, 'patient')
    assert right.temperature == 1 and 'hardly a patient is classified wrongly' in right.note


def test_reliability_of_calibrated_scores_is_the_diagonal():
    logits, truth = calibrated_slices(60_000)
    scores = image_scores(logits)
    bins = reliability(Cases(truth, truth, scores.argmax(1), scores, truth))
    full = np.array(bins.count) > 300
    assert full.sum() >= 8 and sum(bins.count) == 60_000
    assert np.array(bins.confidence)[full] == pytest.approx(np.array(bins.accuracy)[full], abs=0.06)


def test_coverage_curve():
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.8, 0.2], [0.4, 0.6], [0.55, 0.45]])
    cases = Cases(np.arange(5), np.array([0, 0, 1, 1, 1]), scores.argmax(1), scores, np.arange(5))
    curve = coverage_curve(cases)
    assert curve.threshold.tolist() == [0.9, 0.8, 0.6, 0.55]  # equal ones are decided together
    assert curve.coverage.tolist() == [0.2, 0.6, 0.8, 1]
    assert curve.accuracy.tolist() == pytest.approx([1, 2 / 3, 3 / 4, 3 / 5])
    assert curve.threshold_at(1.0) == 0.55 and curve.threshold_at(0.5) == 0.8
