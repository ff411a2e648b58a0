"""Agreement of two measurements of the same cases, in every resample.

Sources: J. M. Bland and D. G. Altman, "Statistical methods for assessing agreement between two
methods of clinical measurement", Lancet 327, 1986; L. I. Lin, "A concordance correlation
coefficient to evaluate reproducibility", Biometrics 45, 1989.
"""

import numpy as np

from .bootstrap import weighted_sums

#: Limits of agreement are so many standard deviations from the bias.
LIMITS = 1.96


def agreement_figures(
    true: np.ndarray, found: np.ndarray, cluster: np.ndarray, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """Bland and Altman's bias and limits of agreement, and Lin's concordance.

    Args:
        true (np.ndarray): Of each case, (n,).
        found (np.ndarray): The same, measured another way.
        cluster (np.ndarray): Patient of each case, (n,), int.
        weights (np.ndarray): Weights of the patients, (R + 1, C).

    Returns:
        dict[str, np.ndarray]: (R + 1,) each: ``bias``, the mean of found minus true,
        ``limit_low`` and ``limit_high``; ``ccc``, the concordance correlation coefficient. Limits
        need two cases, and the coefficient two values that differ; else they are nan.
    """
    true, found = np.asarray(true, float), np.asarray(found, float)
    middle = np.concatenate([true, found]).mean()  # squares of large numbers lose digits
    x, y = true - middle, found - middle
    sums = weighted_sums(
        np.column_stack([np.ones(len(x)), x, y, x * x, y * y, x * y]), cluster, weights
    )
    with np.errstate(invalid='ignore', divide='ignore'):
        number = sums[:, 0]
        mean_x, mean_y, xx, yy, xy = (sums[:, k] / number for k in range(1, 6))
        var_x, var_y, cov = xx - mean_x**2, yy - mean_y**2, xy - mean_x * mean_y
        bias = mean_y - mean_x
        variance = (var_x + var_y - 2 * cov).clip(0) * number / (number - 1)
        half = LIMITS * np.sqrt(variance)
        spread = var_x + var_y + bias**2
        ccc = np.where(spread > 0, 2 * cov / spread, np.nan)
    return dict(bias=bias, limit_low=bias - half, limit_high=bias + half, ccc=ccc)
