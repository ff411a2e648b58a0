"""Net benefit of acting on a score, for decision curves.

Source: A. J. Vickers and E. B. Elkin, "Decision curve analysis: a novel method for evaluating
prediction models", Med. Decis. Making 26, 2006.
"""

import numpy as np

from .bootstrap import weighted_sums
from .classification import Cases

#: Threshold probabilities: from which on one would act.
THRESHOLDS = np.arange(1, 100) / 100


def net_benefit(
    cases: Cases, positive: np.ndarray, weights: np.ndarray, prevalence: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Net benefit of the scores, and of acting on everyone, at :data:`THRESHOLDS`, T of them.

    It is the share of true positives less that of false ones, which weigh as much as the odds of
    the threshold. Acting on nobody has 0.

    Args:
        cases (Cases): n cases of K classes.
        positive (np.ndarray): Which classes are to be acted on, (K,), bool.
        weights (np.ndarray): (R + 1, C).
        prevalence (np.ndarray, optional): Shares of the classes, (K,). Defaults to None: those of
            each resample.

    Returns:
        tuple[np.ndarray, np.ndarray]: (R + 1, T) each; nan where a class that has a share is not
        in a resample.
    """
    is_class = np.eye(len(positive))[cases.truth]  # (n, K)
    # rounded: 0.1 + 0.2 reaches a threshold of 0.3
    score = np.round(cases.scores[:, positive].sum(1), 12)
    acted = (score[:, None] >= THRESHOLDS)[:, :, None] * is_class[:, None]  # (n, T, K)
    sums = weighted_sums(
        np.column_stack([is_class, acted.reshape(len(cases), -1)]), cases.cluster, weights
    )
    count, acted = np.split(sums, [len(positive)], axis=1)
    acted = acted.reshape(len(weights), *THRESHOLDS.shape, -1)
    rate, share = acted / np.maximum(count, 1)[:, None], count / count.sum(1, keepdims=True)
    if prevalence is not None:
        share = np.where((count == 0) & (prevalence > 0), np.nan, prevalence)
    acted = rate * share[:, None]
    odds = THRESHOLDS / (1 - THRESHOLDS)
    return (
        acted[..., positive].sum(-1) - odds * acted[..., ~positive].sum(-1),
        share[:, positive].sum(1)[:, None] - odds * share[:, ~positive].sum(1)[:, None],
    )
