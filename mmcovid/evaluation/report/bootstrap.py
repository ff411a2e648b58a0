"""Bootstrap over patients.

Slices of one patient resemble each other, so 20,000 slices of 300 patients tell much less than
20,000 patients would. Patients are therefore drawn, with all their slices. A resample is a row of
weights, how often each patient was drawn, and figures are computed from all rows at once. Row 0
holds ones: the set itself. Several models share the rows, so that their differences are paired.

Intervals are bias-corrected percentiles: average precision is higher in resamples, in which cases
repeat, than in the set, as it is in small sets, and plain percentiles would miss it.

Sources: B. Efron, "Nonparametric standard errors and confidence intervals", Can. J. Stat. 9, 1981;
C. A. Field and A. H. Welsh, "Bootstrapping clustered data", J. R. Stat. Soc. B 69, 2007.
"""
from collections.abc import Iterator

import numpy as np
from scipy.stats import norm

#: An interval of resamples of which fewer than this share define the figure is not given.
LEAST_DEFINED = 0.9
_CHUNK = 128


def resample_clusters(num_clusters: int, rounds: int, seed: int) -> np.ndarray:
    """How often each cluster is drawn in each resample.

    Args:
        num_clusters (int): Number of clusters (patients) C.
        rounds (int): Number of resamples R.
        seed (int): Seed of the draw.

    Returns:
        np.ndarray: Weights, (R + 1, C), uint16; row 0 is all ones.
    """
    rng = np.random.default_rng(seed)
    weights = np.ones((rounds + 1, num_clusters), np.uint16)
    for row in weights[1:]:
        row[:] = np.bincount(rng.integers(num_clusters, size=num_clusters), minlength=num_clusters)
    return weights


def chunks(weights: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield rows of the weights as floats, a part at a time, to bound the memory."""
    for start in range(0, len(weights), _CHUNK):
        rows = slice(start, start + _CHUNK)
        yield rows, weights[rows].astype(float)


def weighted_sums(values: np.ndarray, cluster: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Sum of values in every resample.

    Args:
        values (np.ndarray): One row per sample, (n, m).
        cluster (np.ndarray): Cluster of each sample, (n,), int.
        weights (np.ndarray): Weights of the clusters, (R + 1, C).

    Returns:
        np.ndarray: (R + 1, m).
    """
    per_cluster = np.zeros((weights.shape[1], values.shape[1]))
    np.add.at(per_cluster, cluster, values)
    sums = np.empty((len(weights), values.shape[1]))
    for rows, part in chunks(weights):
        sums[rows] = part @ per_cluster
    return sums


def estimate(values: np.ndarray, level: float = 0.95) -> dict[str, float]:
    """Value on the set itself and bias-corrected percentile interval of the resamples.

    Args:
        values (np.ndarray): The figure in each resample, (R + 1,); row 0 is the set itself.
        level (float): Confidence level. Defaults to 0.95.

    Returns:
        dict[str, float]: ``value``, ``low`` and ``high``; the bounds are nan if less than
        :data:`LEAST_DEFINED` of the resamples define the figure.
    """
    resampled = values[1:][~np.isnan(values[1:])]
    low = high = float('nan')
    if len(resampled) and len(resampled) >= LEAST_DEFINED * (len(values) - 1):
        below = np.mean(resampled < values[0]) + np.mean(resampled == values[0]) / 2
        bias = norm.ppf(np.clip(below, 0.5 / len(resampled), 1 - 0.5 / len(resampled)))
        tails = norm.ppf(((1 - level) / 2, (1 + level) / 2))
        low, high = np.quantile(resampled, norm.cdf(2 * bias + tails))
    return dict(value=float(values[0]), low=float(low), high=float(high))
