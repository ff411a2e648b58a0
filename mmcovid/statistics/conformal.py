"""Sets of classes that hold the true one as often as was asked for, whatever the class.

A class is in the set of a case if its score reaches a threshold of its own, which most validation
cases of the class reach. If cases of a class are exchangeable with its validation cases, so many of
them have it in their set, however often the class occurs. Slices of a patient are not exchangeable
with those of another; so patients are, and each has the same weight.

Sources: V. Vovk, "Conditional validity of inductive conformal predictors", Mach. Learn. 92, 2013;
M. Sadinle, J. Lei and L. Wasserman, "Least ambiguous set-valued classifiers with bounded error
levels", J. Am. Stat. Assoc. 114, 2019; Y. Lee, R. F. Barber and R. Willett, "Distribution-free
inference with hierarchical data", 2023.
"""

import numpy as np


def set_thresholds(
    scores: np.ndarray, truth: np.ndarray, cluster: np.ndarray, coverage: float
) -> np.ndarray:
    """For each class, the score from which on it is in the set of a case.

    Args:
        scores (np.ndarray): Of validation cases, (n, K).
        truth (np.ndarray): Their labels, (n,), int.
        cluster (np.ndarray): Their patients, (n,), int.
        coverage (float): Share of the cases of each class that are to have it in their set.

    Returns:
        np.ndarray: (K,); 0, which puts it in every set, for a class with too few patients.
    """
    return np.array(
        [
            _threshold(scores[truth == k, k], cluster[truth == k], coverage)
            for k in range(scores.shape[1])
        ]
    )


def _threshold(scores: np.ndarray, cluster: np.ndarray, coverage: float) -> float:
    """The highest score that cases of the weight ``coverage`` reach, of n cases of one class."""
    _, patient, sizes = np.unique(cluster, return_inverse=True, return_counts=True)
    order = np.argsort(-scores, kind='stable')
    # the case to come is a patient more, who may have any score
    reached = np.cumsum(1 / sizes[patient][order]) / (len(sizes) + 1)
    enough = np.flatnonzero(reached >= coverage - 1e-9)
    return float(scores[order][enough[0]]) if len(enough) else 0.0


def prediction_sets(scores: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Which classes are in the set of each case.

    Args:
        scores (np.ndarray): (..., K).
        thresholds (np.ndarray): Of :func:`set_thresholds`, (K,).

    Returns:
        np.ndarray: (..., K), bool.
    """
    return scores >= thresholds
