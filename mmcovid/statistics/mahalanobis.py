"""How far a case is from the training data: the Mahalanobis distance of its features.

Lee et al., "A Simple Unified Framework for Detecting Out-of-Distribution Samples and Adversarial
Attacks", NeurIPS 2018; of lesions of COVID-19 in CT, González et al., "Distance-based detection of
out-of-distribution silent failures for Covid-19 lung lesion segmentation", Medical Image Analysis,
2022.
"""

import numpy as np


def fit_gaussian(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit a Gaussian, its covariance shrunk by the rule of Ledoit and Wolf.

    Args:
        features (np.ndarray): Of the training data, (n, C); n may be less than C.

    Returns:
        tuple[np.ndarray, np.ndarray]: The mean (C,), and the whitening matrix L, (C, C), whose
        product L · Lᵀ is the inverse of the covariance.

    Raises:
        ValueError: There are fewer than two cases, or they are all the same.
    """
    from sklearn.covariance import LedoitWolf  # here: who only measures distances needs it not

    if len(features) < 2 or not np.ptp(features, axis=0).any():
        raise ValueError('statistics need two cases at least that are not the same')
    fitted = LedoitWolf().fit(np.asarray(features, np.float64))
    return fitted.location_, np.linalg.cholesky(fitted.precision_)


def mahalanobis_distance(
    features: np.ndarray, mean: np.ndarray, whitening: np.ndarray
) -> np.ndarray:
    """Distances (n,) of features (n, C) from a Gaussian; see :func:`fit_gaussian`."""
    return np.linalg.norm((features - mean) @ whitening, axis=1)


def distance_threshold(distances: np.ndarray, false_alarm_rate: float) -> float:
    """The least distance that no more than this share of known cases exceeds.

    Args:
        distances (np.ndarray): Of cases that were not fitted to, (n,).
        false_alarm_rate (float): Between 0 and 1.
    """
    return float(np.quantile(distances, 1 - false_alarm_rate, method='higher'))
