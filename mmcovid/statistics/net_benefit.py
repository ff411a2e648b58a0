"""Net benefit of acting on a score, for decision curves.

It is the share of true positives less that of false ones, which weigh as much as the odds of the
threshold. Acting on nobody has 0. It is a weighted sum of how many cases of each class are acted
on, at shares of the classes that are given.

Source: A. J. Vickers and E. B. Elkin, "Decision curve analysis: a novel method for evaluating
prediction models", Med. Decis. Making 26, 2006.
"""

import numpy as np

from .bootstrap import weighted_sums
from .classification import Cases

#: Threshold probabilities: from which on one would act.
THRESHOLDS = np.arange(1, 100) / 100


def action_rates(cases: Cases, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Share of the cases of each class whose score reaches each of T :data:`THRESHOLDS`.

    Args:
        cases (Cases): n cases of K classes.
        positive (np.ndarray): Which classes are to be acted on, (K,), bool.
        weights (np.ndarray): (R + 1, C).

    Returns:
        np.ndarray: (R + 1, T, K); nan where a class is not in a resample.
    """
    is_class = np.eye(len(positive))[cases.truth]  # (n, K)
    # rounded: 0.1 + 0.2 reaches a threshold of 0.3
    score = np.round(cases.scores[:, positive].sum(1), 12)
    acted = (score[:, None] >= THRESHOLDS)[:, :, None] * is_class[:, None]  # (n, T, K)
    sums = weighted_sums(
        np.column_stack([is_class, acted.reshape(len(cases), -1)]), cases.cluster, weights
    )
    count, acted = np.split(sums, [len(positive)], axis=1)
    with np.errstate(invalid='ignore'):
        return acted.reshape(len(weights), *THRESHOLDS.shape, -1) / count[:, None]


def benefit_weights(positive: np.ndarray, prevalence: np.ndarray) -> np.ndarray:
    """What each class adds to the net benefit, if all its cases are acted on.

    Args:
        positive (np.ndarray): Which classes are to be acted on, (K,), bool.
        prevalence (np.ndarray): Shares of the classes, (K,).

    Returns:
        np.ndarray: At each threshold, (T, K); the sum is the net benefit of acting on everyone.
    """
    odds = THRESHOLDS / (1 - THRESHOLDS)
    return prevalence * np.where(positive, 1, -odds[:, None])
