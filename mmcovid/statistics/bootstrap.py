"""Bootstrap over patients.

Slices of one patient resemble each other, so 20,000 slices of 300 patients tell much less than
20,000 patients would. Patients are therefore drawn, with all their slices. A resample is a row of
weights, how often each patient was drawn, and figures are computed from all rows at once. Row 0
holds ones: the set itself. Several models share the rows, so that their differences are paired.

The resamples give the standard error of a figure. If few patients are in error, it rests on these
few and is often too small, and percentiles of the resamples are too narrow. So intervals take the t
quantile, with degrees of freedom that tell how many patients make up the error: they follow from
the changes of the figure as each patient is left out. Figures in 0..1 are taken on the logit scale.

Sources: B. Efron, "Nonparametric standard errors and confidence intervals", Can. J. Stat. 9, 1981;
C. A. Field and A. H. Welsh, "Bootstrapping clustered data", J. R. Stat. Soc. B 69, 2007;
F. E. Satterthwaite, "An approximate distribution of estimates of variance components",
Biometrics Bull. 2, 1946; E. B. Wilson, "Probable inference, the law of succession, and statistical
inference", J. Am. Stat. Assoc. 22, 1927.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.special import expit, logit, ndtri, stdtrit

from mmcovid.results import Estimate

#: An interval of resamples of which fewer than this share define the figure is not given.
LEAST_DEFINED = 0.9
#: More patients than this are left out in groups.
MOST_LEFT_OUT = 500
_CHUNK = 128
#: A standard error below is a rounding error.
_NOTHING = 1e-9


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


def leave_out_clusters(num_clusters: int) -> np.ndarray:
    """Weights that leave out one cluster after the other, or groups of them if they are many.

    Args:
        num_clusters (int): Number of clusters (patients) C.

    Returns:
        np.ndarray: Weights, (G, C), uint16, with G = C up to :data:`MOST_LEFT_OUT`.
    """
    groups = min(num_clusters, MOST_LEFT_OUT)
    group = np.arange(num_clusters) % groups
    return (group != np.arange(groups)[:, None]).astype(np.uint16)


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


def weighted_means(values: np.ndarray, cluster: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean in every resample, of the samples that have a value.

    Args:
        values (np.ndarray): One row per sample, (n, m); nan where it has none.
        cluster (np.ndarray): Cluster of each sample, (n,), int.
        weights (np.ndarray): Weights of the clusters, (R + 1, C).

    Returns:
        np.ndarray: (R + 1, m); nan where no sample of a resample has a value.
    """
    known = ~np.isnan(values)
    sums = weighted_sums(np.hstack([np.where(known, values, 0), known]), cluster, weights)
    total, number = np.hsplit(sums, 2)
    with np.errstate(invalid='ignore'):
        return total / number


def effective_clusters(cluster: np.ndarray) -> float:
    """Number of clusters of equal size that would tell as much (Kish), if samples in one are alike.

    Args:
        cluster (np.ndarray): Cluster of each sample, (n,), int.

    Returns:
        float: From 1 to the number of clusters; 0 without samples.
    """
    sizes = np.bincount(cluster).astype(float)
    return sizes.sum() ** 2 / max((sizes**2).sum(), 1)


def degrees_of_freedom(left_out: np.ndarray) -> float:
    """Of a variance that is estimated from clusters, by Satterthwaite's approximation.

    Args:
        left_out (np.ndarray): The figure without each of G clusters, (G,).

    Returns:
        float: From 2, if one cluster alone makes up the variance, over 2k, if k of many do alike,
        to G - 1.
    """
    square = (left_out - left_out.mean()) ** 2
    share = (square**2).sum() / max(square.sum() ** 2, np.finfo(float).tiny)
    return 2 / max(share - 1 / len(square), 2 / (len(square) - 1))


def wilson_interval(share: float, number: float, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share of ``number`` independent cases."""
    z2 = ndtri((1 + level) / 2) ** 2
    centre = share + z2 / (2 * number)
    half = np.sqrt(z2 * (share * (1 - share) + z2 / (4 * number)) / number)
    low, high = (centre + np.array([-half, half])) / (1 + z2 / number)
    return max(0.0, min(low, share)), min(1.0, max(high, share))  # of 0 and 1 up to rounding


def t_interval(value: float, half: float, scale: str) -> tuple[float, float]:
    """Value minus and plus ``half``, on a scale that keeps the bounds in the figure's range.

    ``'logit'`` is for figures in 0..1, ``'log'`` for those of 0 or more, ``'linear'`` for all
    others; ``half`` is stretched as the scale is at the value.
    """
    steps = np.array([-half, half])
    if scale == 'logit' and 0 < value < 1:
        return tuple(expit(logit(value) + steps / (value * (1 - value))))
    if scale == 'log' and value > 0:
        return tuple(value * np.exp(steps / value))
    return tuple(value + steps)


def add_estimates(estimates: Sequence[Estimate], weights: Sequence[float]) -> Estimate:
    """Weighted sum of figures of different patients, such as of one class each.

    The interval follows from theirs, so that a class without an error, of which resamples tell
    nothing, has the part in it that its own interval says.

    Source: G. Y. Zou and A. Donner, "Construction of confidence limits about effect measures: a
    general approach", Stat. Med. 27, 2008.

    Args:
        estimates (Sequence[Estimate]): Figures; those of weight 0 need not be defined.
        weights (Sequence[float]): Of each.
    """
    parts = [(weight, each) for weight, each in zip(weights, estimates) if weight]
    value = sum(weight * each.value for weight, each in parts)
    # (below, above) of each part, turned round where its weight is negative
    steps = [
        sorted((weight * (each.low - each.value), weight * (each.high - each.value)))
        for weight, each in parts
    ]
    below, above = np.sqrt((np.reshape(steps, (-1, 2)) ** 2).sum(0)).tolist()
    return Estimate(value, value - below, value + above)


class Resamples:
    """Resamples of patients, and the intervals that figures of them give.

    Args:
        num_clusters (int): Number of patients C.
        rounds (int): Number of resamples R.
        seed (int): Seed of the draw.

    Attributes:
        weights (np.ndarray): The set itself, the resamples and the set without each patient (or
            group of patients), (1 + R + G, C).
    """

    def __init__(self, num_clusters: int, rounds: int, seed: int) -> None:
        self.rounds = rounds
        self.weights = np.concatenate(
            [resample_clusters(num_clusters, rounds, seed), leave_out_clusters(num_clusters)]
        )

    def share(self, is_so: np.ndarray, cluster: np.ndarray) -> Estimate:
        """Share of the samples that are so, with its interval.

        Args:
            is_so (np.ndarray): (n,), bool.
            cluster (np.ndarray): Patient of each sample, (n,), int.
        """
        means = weighted_means(is_so[:, None].astype(float), cluster, self.weights)
        return self.estimate(means[:, 0], patients=effective_clusters(cluster))

    def estimate(
        self,
        values: np.ndarray,
        *,
        scale: str = 'logit',
        patients: float | None = None,
        level: float = 0.95,
    ) -> Estimate:
        """Value on the set itself and its confidence interval.

        Args:
            values (np.ndarray): The figure for each row of the weights, (1 + R + G,).
            scale (str): See :func:`t_interval`. Defaults to ``'logit'``.
            patients (float, optional): Effective number of patients behind a share; its interval
                is then Wilson's of as many cases, if that is narrower or if no resample differs
                from the set. Defaults to None.
            level (float): Confidence level. Defaults to 0.95.

        Returns:
            Estimate: Both bounds are nan if less than :data:`LEAST_DEFINED` of the resamples
            define the figure, and the value if they are all alike and ``patients`` is not known.
            A figure is not defined where it is infinite.
        """
        own, resampled, left_out = np.split(values, [1, self.rounds + 1])
        value, defined = float(own[0]), np.isfinite(resampled)
        low = high = float('nan')
        if not np.isnan(value) and defined.mean() >= LEAST_DEFINED:
            error = resampled[defined].std()
            alike = wilson_interval(value, patients, level) if patients else (-np.inf, np.inf)
            if error > _NOTHING:
                freedom = degrees_of_freedom(left_out[np.isfinite(left_out)])
                low, high = t_interval(value, stdtrit(freedom, (1 + level) / 2) * error, scale)
                low, high = max(low, alike[0]), min(high, alike[1])
            else:
                low, high = alike if patients else (value, value)
        return Estimate(value, float(low), float(high))
