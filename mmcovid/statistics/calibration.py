"""Temperature scaling, reliability and abstention."""
import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_expit, softmax

from .classification import NUM_BINS, Cases, confidence_bins

_LOG_RANGE = (-5, 5)


def image_scores(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Class scores of image logits, as the attention heads compute them.

    Args:
        logits (np.ndarray): (n, K).
        temperature (float): What the logits are divided by. Defaults to 1.

    Returns:
        np.ndarray: Sigmoids of the logits normalised to sum to 1, (n, K).
    """
    return softmax(log_expit(logits / temperature), axis=1)


def fit_temperature(logits: np.ndarray, truth: np.ndarray) -> dict[str, float | str]:
    """The temperature at which the scores have the least negative log-likelihood.

    Source: C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, applied to
    sigmoids that are normalised to sum to 1.

    Args:
        logits (np.ndarray): Image logits of a validation set, (n, K).
        truth (np.ndarray): True labels, (n,), int.

    Returns:
        dict: ``temperature``, ``nll_before``, ``nll_after`` and ``note``: '' or, where the
        likelihood has no optimum between e⁻⁵ and e⁵, why the temperature is left at 1.
    """

    def nll(log_temperature: float) -> float:
        scores = image_scores(logits, np.exp(log_temperature))[np.arange(len(truth)), truth]
        return float(-np.log(np.maximum(scores, np.finfo(float).tiny)).mean())

    before, (coldest, hottest) = nll(0), map(nll, _LOG_RANGE)
    best = minimize_scalar(nll, bounds=_LOG_RANGE, method='bounded', options=dict(xatol=1e-6))
    if best.fun < min(coldest, hottest) - 1e-6:
        return dict(temperature=float(np.exp(best.x)), nll_before=before,
                    nll_after=float(best.fun), note='')
    why = ('the classes are no better than chance' if hottest < coldest
           else 'hardly a slice is classified wrongly')
    return dict(temperature=1., nll_before=before, nll_after=before, note=(
        f'no temperature fits, since on the validation set {why}; 1 is kept. To calibrate, use a '
        'set that holds both errors and right answers'))


def reliability(cases: Cases) -> dict[str, np.ndarray]:
    """Confidence against accuracy, in bins.

    Args:
        cases (Cases): n cases.

    Returns:
        dict[str, np.ndarray]: ``confidence``, ``accuracy`` (nan in empty bins) and ``count`` of
        each bin, (15,) each.
    """
    bins = confidence_bins(cases.scores)
    count = np.bincount(bins, minlength=NUM_BINS)
    with np.errstate(invalid='ignore'):
        return dict(
            confidence=np.bincount(bins, cases.scores.max(1), NUM_BINS) / count,
            accuracy=np.bincount(bins, cases.pred == cases.truth, NUM_BINS) / count,
            count=count)


def coverage_curve(cases: Cases) -> dict[str, np.ndarray]:
    """Accuracy on the cases that remain when the least confident are left to a reader.

    Args:
        cases (Cases): n cases.

    Returns:
        dict[str, np.ndarray]: For every distinct confidence from high to low ``threshold``,
        ``coverage`` (share of cases of at least this confidence) and ``accuracy`` on them.
    """
    confidence = cases.scores.max(1)
    order = np.argsort(-confidence, kind='stable')
    ends = np.flatnonzero(np.diff(confidence[order], append=-np.inf))
    right = np.cumsum(cases.pred[order] == cases.truth[order])
    return dict(threshold=confidence[order][ends], coverage=(ends + 1) / len(cases),
                accuracy=right[ends] / (ends + 1))


def at_coverage(curve: dict[str, np.ndarray], coverage: float) -> float:
    """The highest threshold that keeps at least this share of the cases."""
    return float(curve['threshold'][np.searchsorted(curve['coverage'], coverage - 1e-9)])
