"""Classes at another prevalence than that of the set a model was calibrated on.

What a class looks like is taken to stay as it was; only how often it occurs changes (label shift).

Sources: M. Saerens, P. Latinne and C. Decaestecker, "Adjusting the outputs of a classifier to new a
priori probabilities: a simple procedure", Neural Comput. 14, 2002; G. Forman, "Quantifying counts
and costs via classification", Data Min. Knowl. Discov. 17, 2008, for several classes as Z. Lipton
et al., "Detecting and correcting for label shift with black box predictors", ICML 2018.
"""

from collections.abc import Sequence

import numpy as np

from .bootstrap import chunks, wilson_interval

_MOST_STEPS, _SMALLEST_STEP = 2000, 1e-7


def read_prevalence(text: str, names: Sequence[str]) -> np.ndarray:
    """Shares of the classes, as a user states them.

    Args:
        text (str): ``normal=0.9,cp=0.07,covid19=0.03``.
        names (Sequence[str]): Of the K classes.

    Returns:
        np.ndarray: (K,), summing to 1.

    Raises:
        ValueError: A class is missing or unknown, or the shares do not sum to 1.
    """
    try:
        pairs = [item.split('=') for item in text.split(',')]
        shares = {name.strip(): float(share) for name, share in pairs}
    except ValueError:
        shares = {}
    values = np.array([shares.get(name, np.nan) for name in names])
    known = len(shares) == len(names) == text.count('=')
    if not known or not (values >= 0).all() or abs(values.sum() - 1) > 1e-6:
        example = ','.join(f'{name}={1 / len(names):.2g}' for name in names)
        raise ValueError(
            f'prevalence {text}: give each class once, with shares that sum to 1, such as {example}'
        )
    return values / values.sum()


def shift_scores(scores: np.ndarray, prior: np.ndarray, prevalence: np.ndarray) -> np.ndarray:
    """Class probabilities at another prevalence, by Bayes' rule.

    Args:
        scores (np.ndarray): Calibrated scores, (n, K).
        prior (np.ndarray): Shares of the classes where they are calibrated, (K,).
        prevalence (np.ndarray): Shares where they are used, (K,).

    Returns:
        np.ndarray: (n, K), rows sum to 1.

    Raises:
        ValueError: A class that is to be met was not there to be calibrated on.
    """
    if ((prior <= 0) & (prevalence > 0)).any():
        raise ValueError(
            'a class of the stated prevalence has no case in the validation set: state 0 for it, '
            'or calibrate on a set that has it'
        )
    shifted = scores * np.divide(prevalence, prior, out=np.zeros_like(prevalence), where=prior > 0)
    total = shifted.sum(1, keepdims=True)
    # a case of which only classes are possible that are never met tells nothing
    return np.where(total > 0, shifted / np.where(total > 0, total, 1), prevalence)


def at_prevalence(matrix: np.ndarray, prevalence: np.ndarray) -> np.ndarray:
    """Confusion matrices of a set whose classes have these shares.

    Args:
        matrix (np.ndarray): Counts, (R + 1, K, K), rows are the true classes.
        prevalence (np.ndarray): (K,).

    Returns:
        np.ndarray: Shares of all cases, (R + 1, K, K); nan where a class that is to be met has no
        case.
    """
    with np.errstate(invalid='ignore', divide='ignore'):
        rates = matrix / matrix.sum(2, keepdims=True)
        return np.where(prevalence[:, None] > 0, rates * prevalence[:, None], 0)


def rate_bounds(
    rates: np.ndarray, patients: np.ndarray, prevalence: np.ndarray
) -> dict[str, np.ndarray]:
    """Bounds of figures at a prevalence, if each rate may be anywhere in its own interval.

    Where no patient is in error, resamples tell nothing of the figures, and at a low prevalence an
    error that was not met may be all that counts.

    Args:
        rates (np.ndarray): Share of the cases of each true class (rows) predicted as each class,
            (K, K).
        patients (np.ndarray): Effective number of patients of each true class, (K,).
        prevalence (np.ndarray): (K,).

    Returns:
        dict[str, np.ndarray]: Low and high bound of ``sensitivity``, ``specificity``, ``ppv`` and
        ``npv`` of each class, (K, 2), and of ``accuracy``, (2,); nan where a class that is to be
        met has no case.
    """
    met = np.flatnonzero(prevalence)
    interval = np.full((*rates.shape, 2), np.nan)
    interval[prevalence == 0] = 0
    for i in met[patients[met] > 0]:
        interval[i] = [wilson_interval(rate, patients[i]) for rate in rates[i]]
    weighted = prevalence[:, None, None] * interval  # (true, predicted, bound)
    own, other = prevalence[:, None], (prevalence.sum() - prevalence)[:, None]
    tp = np.einsum('kkb->kb', weighted)
    fp = weighted.sum(0) - tp
    fn, tn = own - tp[:, ::-1], other - fp[:, ::-1]
    with np.errstate(invalid='ignore', divide='ignore'):
        return dict(
            sensitivity=tp / own,
            specificity=tn / other,
            ppv=tp / (tp + fp[:, ::-1]),
            npv=tn / (tn + fn[:, ::-1]),
            accuracy=tp.sum(0),
        )


def prevalence_by_counts(predicted: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """Shares of the classes that explain how often each is predicted (adjusted count).

    Args:
        predicted (np.ndarray): Share of the cases predicted as each class, (R + 1, K).
        rates (np.ndarray): Share of the validation cases of each true class (rows) predicted as
            each class, (R + 1, K, K); nan in rows of classes that it lacks, whose share is 0.

    Returns:
        np.ndarray: (R + 1, K); solutions beyond 0..1 are cut off.
    """
    inverse = np.linalg.pinv(np.nan_to_num(rates).transpose(0, 2, 1))
    found = np.clip((inverse @ predicted[..., None])[..., 0], 0, 1)
    with np.errstate(invalid='ignore', divide='ignore'):
        return found / found.sum(1, keepdims=True)


def prevalence_by_em(
    scores: np.ndarray, prior: np.ndarray, cluster: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Shares of the classes at which unlabelled scores are most likely, by EM.

    Args:
        scores (np.ndarray): Calibrated scores, (n, K).
        prior (np.ndarray): Shares of the classes where they are calibrated, (R + 1, K).
        cluster (np.ndarray): Patient of each case, (n,), int.
        weights (np.ndarray): (R + 1, C).

    Returns:
        np.ndarray: (R + 1, K).
    """
    found = np.empty_like(prior)
    for rows, part in chunks(weights):
        drawn = part[:, cluster]
        drawn = drawn / drawn.sum(1, keepdims=True)
        known = prior[rows] > 0
        shares = prior[rows]
        for _ in range(_MOST_STEPS):
            ratio = np.divide(shares, prior[rows], out=np.zeros_like(shares), where=known)
            likelihood = np.maximum(ratio @ scores.T, np.finfo(float).tiny)  # (R + 1, n)
            moved = ratio * ((drawn / likelihood) @ scores)
            moved /= moved.sum(1, keepdims=True)
            step, shares = np.abs(moved - shares).max(), moved
            if step < _SMALLEST_STEP:
                break
        found[rows] = shares
    return found
