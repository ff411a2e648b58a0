"""Rules that need no fitting: class scores of n slices in, those of their scan out.

A rule takes the scores of the slices in the order of the scan, (n, K), each row summing to 1, and
the label of the class without disease, None if there is none. It gives the scores of the scan,
(K,), which sum to 1. A slice is the more suspicious, the lower its score of that class.
"""

from collections.abc import Callable

import numpy as np

Rule = Callable[[np.ndarray, int | None], np.ndarray]

#: Share of the slices, and least number of them, that ``top`` and ``run`` look at.
TOP, LEAST_SLICES = 0.1, 3
#: Suspicion from which a slice is abnormal to ``share``, and the share of such slices that a scan
#: may have and be normal.
ABNORMAL, TOLERATED = 0.8, 0.05


def mean(scores: np.ndarray, normal: int | None) -> np.ndarray:
    """Mean over the slices."""
    return scores.mean(0)


def maximum(scores: np.ndarray, normal: int | None) -> np.ndarray:
    """Maximum over the slices, class by class."""
    return _sum_to_one(scores.max(0))


def vote(scores: np.ndarray, normal: int | None) -> np.ndarray:
    """Share of the slices predicted as each class."""
    return np.bincount(scores.argmax(1), minlength=scores.shape[1]) / len(scores)


def top(scores: np.ndarray, normal: int | None) -> np.ndarray:
    """Mean over the most suspicious tenth of the slices, wherever they are."""
    chosen = np.argsort(-suspicion(scores, normal), kind='stable')[: _few(scores)]
    return scores[chosen].mean(0)


def run(scores: np.ndarray, normal: int | None) -> np.ndarray:
    """Mean over the most suspicious run of neighbouring slices, a tenth of the scan.

    Lesions go on from one slice to the next, errors less so.
    """
    width = _few(scores)
    sums = np.cumsum(np.vstack([np.zeros(scores.shape[1]), scores]), 0)
    means = (sums[width:] - sums[:-width]) / width
    return means[suspicion(means, normal).argmax()]


def share(scores: np.ndarray, normal: int | None) -> np.ndarray:
    """Share of the slices that are surely abnormal, by class, against a fixed share for normal.

    A scan is abnormal if more than 5 % of its slices are, of one class.
    """
    if normal is None:
        return vote(scores, normal)
    abnormal = scores[suspicion(scores, normal) >= ABNORMAL]
    diseases = np.delete(np.arange(scores.shape[1]), normal)
    found = np.zeros(scores.shape[1])
    found[diseases] = np.bincount(abnormal[:, diseases].argmax(1), minlength=len(diseases))
    found /= len(scores)
    found[normal] = TOLERATED
    return _sum_to_one(found)


def noisy_or(scores: np.ndarray, normal: int | None) -> np.ndarray:
    """Probability that at least one slice shows the class, were the slices independent.

    Of the class without disease: that all slices do.
    """
    found = -np.expm1(np.log1p(-np.minimum(scores, 1 - 1e-12)).sum(0))
    if normal is not None:
        found[normal] = scores[:, normal].prod()
    return _sum_to_one(found)


def suspicion(scores: np.ndarray, normal: int | None) -> np.ndarray:
    """How much slices speak for a disease, (n,): without a normal class, for any class."""
    return scores.max(1) if normal is None else 1 - scores[:, normal]


def _few(scores: np.ndarray) -> int:
    """A tenth of the slices, but three if there are: one slice alone decides nothing."""
    return min(len(scores), max(LEAST_SLICES, int(np.ceil(TOP * len(scores)))))


def _sum_to_one(values: np.ndarray) -> np.ndarray:
    return values / values.sum()


#: By name, as ``--aggregate`` takes them.
RULES: dict[str, Rule] = {
    'mean': mean,
    'max': maximum,
    'vote': vote,
    'top': top,
    'run': run,
    'share': share,
    'noisy-or': noisy_or,
}
#: Rules that look at few slices find few diseased ones, but call scans diseased for the slices that
#: a model always errs on, such as those of the lung's ends; see ``docs/en/scan_class.md``.
DEFAULT_RULE = 'mean'
