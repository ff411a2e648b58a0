"""Temperature scaling, of slices and of what is read from several, reliability and abstention."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import log_expit, softmax

from mmcovid.results.evaluation import ReliabilityBins

from .classification import NUM_BINS, Cases, confidence_bins

_LOG_RANGE = (-5, 5)
#: Scores below are no less likely: a share of few slices may be 0.
_LEAST_SCORE = 1e-6


@dataclass(frozen=True)
class TemperatureFit:
    """A temperature, and the mean negative log-likelihood of the slices it was fitted on."""

    temperature: float
    nll_before: float  #: at a temperature of 1
    nll_after: float
    note: str  #: '' or why the temperature is left at 1


@dataclass(frozen=True)
class CoverageCurve:
    """Accuracy on the cases of at least a confidence, for m confidences from high to low."""

    threshold: np.ndarray  #: (m,)
    coverage: np.ndarray  #: (m,), share of the cases of at least this confidence
    accuracy: np.ndarray  #: (m,), on them

    def threshold_at(self, coverage: float) -> float:
        """The highest threshold that keeps at least this share of the cases."""
        return float(self.threshold[np.searchsorted(self.coverage, coverage - 1e-9)])


def image_scores(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Class scores of image logits, as the attention heads compute them.

    Args:
        logits (np.ndarray): (n, K).
        temperature (float): What the logits are divided by. Defaults to 1.

    Returns:
        np.ndarray: Sigmoids of the logits normalised to sum to 1, (n, K).
    """
    return softmax(log_expit(logits / temperature), axis=1)


def fit_temperature(
    logits: np.ndarray,
    truth: np.ndarray,
    scores_at: Callable[[np.ndarray, float], np.ndarray] = image_scores,
    what: str = 'slice',
) -> TemperatureFit:
    """The temperature at which the scores have the least negative log-likelihood.

    Source: C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, applied to
    sigmoids that are normalised to sum to 1.

    Args:
        logits (np.ndarray): Of a validation set, (n, K).
        truth (np.ndarray): True labels, (n,), int.
        scores_at (Callable): Scores of logits at a temperature. Defaults to :func:`image_scores`.
        what (str): What is classified, for the note. Defaults to ``'slice'``.

    Returns:
        TemperatureFit: With the temperature left at 1 where the likelihood has no optimum between
        e⁻⁵ and e⁵.
    """
    from scipy.optimize import minimize_scalar  # here: who only applies a temperature needs it not

    def nll(log_temperature: float) -> float:
        scores = scores_at(logits, np.exp(log_temperature))[np.arange(len(truth)), truth]
        return float(-np.log(np.maximum(scores, np.finfo(float).tiny)).mean())

    before, (coldest, hottest) = nll(0), map(nll, _LOG_RANGE)
    best = minimize_scalar(nll, bounds=_LOG_RANGE, method='bounded', options=dict(xatol=1e-6))
    if best.fun < min(coldest, hottest) - 1e-6:
        return TemperatureFit(float(np.exp(best.x)), before, float(best.fun), '')
    why = (
        'the classes are no better than chance'
        if hottest < coldest
        else f'hardly a {what} is classified wrongly'
    )
    return TemperatureFit(
        1.0,
        before,
        before,
        (
            f'no temperature fits, since on the validation set {why}; 1 is kept. To calibrate, use '
            'a set that holds both errors and right answers'
        ),
    )


def sharpen(logarithms: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Scores of cases that are no image logits, such as means over slices, at a temperature.

    Args:
        logarithms (np.ndarray): Of their scores, see :func:`log_scores`, (n, K).
        temperature (float): What they are divided by. Defaults to 1.

    Returns:
        np.ndarray: (n, K), rows sum to 1; the order of the classes stays.
    """
    return softmax(logarithms / temperature, axis=-1)


def log_scores(scores: np.ndarray) -> np.ndarray:
    """Logarithms of scores, of which a share of few slices may be 0."""
    return np.log(np.maximum(scores, _LEAST_SCORE))


def reliability(cases: Cases) -> ReliabilityBins:
    """Confidence against accuracy, in bins.

    Args:
        cases (Cases): n cases.

    Returns:
        ReliabilityBins: 15 bins.
    """
    bins = confidence_bins(cases.scores)
    count = np.bincount(bins, minlength=NUM_BINS)
    with np.errstate(invalid='ignore'):
        return ReliabilityBins(
            confidence=(np.bincount(bins, cases.scores.max(1), NUM_BINS) / count).tolist(),
            accuracy=(np.bincount(bins, cases.pred == cases.truth, NUM_BINS) / count).tolist(),
            count=count.tolist(),
        )


def coverage_curve(cases: Cases) -> CoverageCurve:
    """Accuracy on the cases that remain when the least confident are left to a reader.

    Args:
        cases (Cases): n cases.

    Returns:
        CoverageCurve: For every distinct confidence.
    """
    confidence = cases.scores.max(1)
    order = np.argsort(-confidence, kind='stable')
    ends = np.flatnonzero(np.diff(confidence[order], append=-np.inf))
    right = np.cumsum(cases.pred[order] == cases.truth[order])
    return CoverageCurve(
        threshold=confidence[order][ends],
        coverage=(ends + 1) / len(cases),
        accuracy=right[ends] / (ends + 1),
    )
