"""Risk and coverage, if the least confident cases are left to a reader.

Source: Y. Geifman and R. El-Yaniv, "Selective classification for deep neural networks", NeurIPS
2017.
"""

import numpy as np

from .bootstrap import chunks
from .classification import Cases

#: At which risks are told.
COVERAGES = np.arange(1, 21) / 20


def selective_risk(cases: Cases, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Area under the risk-coverage curve (AURC), and the curve at :data:`COVERAGES`, M of them.

    The risk is the share of errors among the most confident cases. Cases of equal confidence are
    decided together.

    Args:
        cases (Cases): n cases.
        weights (np.ndarray): (R + 1, C).

    Returns:
        tuple[np.ndarray, np.ndarray]: AURC, (R + 1,), the mean risk over all coverages, and risks,
        (R + 1, M), each at the least coverage that reaches the one asked for.
    """
    confidence = cases.scores.max(1)
    order = np.argsort(-confidence, kind='stable')
    ends = np.flatnonzero(np.diff(confidence[order], append=-np.inf))  # the last of equal ones
    cluster, wrong = cases.cluster[order], (cases.pred != cases.truth)[order]
    area, risks = np.empty(len(weights)), np.empty((len(weights), len(COVERAGES)))
    for rows, part in chunks(weights):
        drawn = part[:, cluster]
        kept = np.cumsum(drawn, axis=1)[:, ends]
        errors = np.cumsum(drawn * wrong, axis=1)[:, ends]
        share = kept / kept[:, -1:]
        risk = errors / np.maximum(kept, 1)
        area[rows] = (np.diff(share, prepend=0) * risk).sum(1)
        reached = [np.searchsorted(row, COVERAGES - 1e-9) for row in share]
        risks[rows] = np.take_along_axis(risk, np.array(reached), axis=1)
    return area, risks
