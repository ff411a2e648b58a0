"""Figures of classification in every resample, from weights of patients."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from .bootstrap import chunks, effective_clusters, weighted_sums
from .class_scores import mean_over_classes

#: Per-class figures, in the order in which they are reported.
CLASS_FIGURES = ('sensitivity', 'specificity', 'ppv', 'npv', 'f1', 'auroc', 'auprc')
CALIBRATION_FIGURES = ('brier', 'ece', 'nll')
#: Equal-width bins of the confidence, as in Guo et al., ICML 2017.
NUM_BINS = 15


@dataclass(frozen=True)
class Cases:
    """Slices, scans or patients with truth and prediction; n cases, K classes."""

    ids: np.ndarray  #: (n,) str
    truth: np.ndarray  #: (n,) int
    pred: np.ndarray  #: (n,) int
    scores: np.ndarray  #: (n, K), rows sum to 1
    cluster: np.ndarray  #: (n,) int, index of the patient

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, chosen: np.ndarray) -> 'Cases':
        """The chosen cases; patients keep their index."""
        return Cases(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))

    def with_scores(self, scores: np.ndarray) -> 'Cases':
        """The same cases with other scores (n, K), such as calibrated ones."""
        return replace(self, scores=scores)


def confusion_counts(cases: Cases, weights: np.ndarray) -> np.ndarray:
    """Confusion matrix of every resample.

    Args:
        cases (Cases): n cases of K classes.
        weights (np.ndarray): (R + 1, C).

    Returns:
        np.ndarray: (R + 1, K, K), rows are the true classes.
    """
    num_classes = cases.scores.shape[1]
    cells = np.eye(num_classes**2)[cases.truth * num_classes + cases.pred]
    return weighted_sums(cells, cases.cluster, weights).reshape(-1, num_classes, num_classes)


def rank_figures(
    positive: np.ndarray, score: np.ndarray, cluster: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Areas under the ROC curve and the precision-recall curve in every resample.

    The cases are sorted once; a resample only weighs them. Tied scores count half in the ROC
    curve. The area under the precision-recall curve is the average precision, without
    interpolation.

    Args:
        positive (np.ndarray): Whether a case is of the class, (n,), bool.
        score (np.ndarray): Its score for the class, (n,).
        cluster (np.ndarray): Its patient, (n,), int.
        weights (np.ndarray): (R + 1, C).

    Returns:
        tuple[np.ndarray, np.ndarray]: AUROC and average precision, (R + 1,) each; nan where a
        resample has no case of the class, or, for the AUROC, of the others.
    """
    order = np.argsort(-score, kind='stable')
    ends = np.flatnonzero(np.diff(score[order], append=-np.inf))  # the last of equal scores
    cluster, positive = cluster[order], positive[order]
    auroc, precision = np.empty(len(weights)), np.empty(len(weights))
    for rows, part in chunks(weights):
        drawn = part[:, cluster]
        everyone = np.cumsum(drawn, axis=1)[:, ends]
        tp = np.cumsum(drawn * positive, axis=1)[:, ends]
        fp = everyone - tp
        steps_tp, steps_fp = np.diff(tp, prepend=0), np.diff(fp, prepend=0)
        with np.errstate(invalid='ignore', divide='ignore'):
            auroc[rows] = (steps_fp * (tp - steps_tp / 2)).sum(1) / (tp[:, -1] * fp[:, -1])
            precision[rows] = np.nansum(steps_tp * tp / everyone, axis=1) / tp[:, -1]
    return auroc, precision


def count_figures(matrix: np.ndarray) -> dict[str, np.ndarray]:
    """Figures that follow from confusion matrices.

    Args:
        matrix (np.ndarray): (R + 1, K, K), rows are the true classes.

    Returns:
        dict[str, np.ndarray]: ``accuracy`` and ``weighted_f1``, (R + 1,), and per class
        ``support`` (number of true cases), ``sensitivity``, ``specificity``, ``ppv``, ``npv`` and
        ``f1``, (R + 1, K).
    """
    tp = np.diagonal(matrix, axis1=1, axis2=2)
    fn, fp = matrix.sum(2) - tp, matrix.sum(1) - tp
    total = matrix.sum((1, 2))[:, None]
    tn = total - tp - fn - fp
    with np.errstate(invalid='ignore', divide='ignore'):
        f1 = 2 * tp / (2 * tp + fp + fn)
        return dict(
            accuracy=tp.sum(1) / total[:, 0],
            weighted_f1=np.nansum(f1 * (tp + fn), axis=1) / total[:, 0],
            support=tp + fn,
            sensitivity=tp / (tp + fn),
            specificity=tn / (tn + fp),
            ppv=tp / (tp + fp),
            npv=tn / (tn + fn),
            f1=f1,
        )


def confidence_bins(scores: np.ndarray) -> np.ndarray:
    """Bin of each case's confidence, its highest score, (n, K) to (n,), int in 0..14."""
    return np.clip(np.ceil(scores.max(1) * NUM_BINS).astype(int) - 1, 0, NUM_BINS - 1)


def calibration_figures(cases: Cases, weights: np.ndarray) -> dict[str, np.ndarray]:
    """How far scores are from probabilities, in every resample.

    Args:
        cases (Cases): n cases of K classes.
        weights (np.ndarray): (R + 1, C).

    Returns:
        dict[str, np.ndarray]: (R + 1,) each: ``brier``, the squared error summed over the
        classes (0 to 2); ``ece``, the expected calibration error of the predicted class;
        ``nll``, the negative logarithm of the true class's score.
    """
    n, num_classes = cases.scores.shape
    brier = ((cases.scores - np.eye(num_classes)[cases.truth]) ** 2).sum(1)
    true_score = cases.scores[np.arange(n), cases.truth]
    nll = -np.log(np.maximum(true_score, np.finfo(np.float32).tiny))
    gap = cases.scores.max(1) - (cases.pred == cases.truth)
    gaps = np.eye(NUM_BINS)[confidence_bins(cases.scores)] * gap[:, None]
    sums = weighted_sums(np.column_stack([np.ones(n), brier, nll, gaps]), cases.cluster, weights)
    with np.errstate(invalid='ignore'):
        total, brier, nll = sums[:, 0], sums[:, 1] / sums[:, 0], sums[:, 2] / sums[:, 0]
        return dict(brier=brier, ece=np.abs(sums[:, 3:]).sum(1) / total, nll=nll)


def classification_figures(
    cases: Cases, weights: np.ndarray, classes: tuple[str, ...]
) -> dict[str, np.ndarray]:
    """All figures of classification in every resample.

    Names and definitions are those of :class:`mmcovid.evaluation.ImageLevelMetric`.

    Args:
        cases (Cases): n cases of K classes.
        weights (np.ndarray): Weights of the patients, (R + 1, C).
        classes (tuple[str, ...]): Names of the K classes.

    Returns:
        dict[str, np.ndarray]: Figures by name, (R + 1,) each, fractions in 0..1; nan where a
        resample does not define the figure.
    """
    counts = count_figures(confusion_counts(cases, weights))
    ranks = [
        rank_figures(cases.truth == k, cases.scores[:, k], cases.cluster, weights)
        for k in range(len(classes))
    ]
    counts['auroc'], counts['auprc'] = (np.column_stack(values) for values in zip(*ranks))
    figures = dict(
        accuracy=counts['accuracy'],
        macro_f1=mean_over_classes(counts['f1'], counts['support']),
        weighted_f1=counts['weighted_f1'],
        macro_auroc=mean_over_classes(counts['auroc']),
    )
    for k, name in enumerate(classes):
        figures.update({f'{name}_{key}': counts[key][:, k] for key in CLASS_FIGURES})
    return figures


def patients_behind(cases: Cases, classes: tuple[str, ...]) -> dict[str, float]:
    """Effective number of patients that each figure of :func:`classification_figures` rests on.

    With as many independent cases a proportion is no surer than with all the cases of these
    patients. That also holds for an AUROC with the smaller of its two groups (van Dantzig, 1951).

    Args:
        cases (Cases): n cases of K classes.
        classes (tuple[str, ...]): Names of the K classes.

    Returns:
        dict[str, float]: By name of the figure; of a mean over classes that of the class with the
        fewest.
    """

    def count(chosen: np.ndarray) -> float:
        return effective_clusters(cases.cluster[chosen])

    everyone = effective_clusters(cases.cluster)
    found = dict(accuracy=everyone, weighted_f1=everyone)
    smallest: dict[str, list[float]] = dict(f1=[], auroc=[])
    for k, name in enumerate(classes):
        own, predicted = cases.truth == k, cases.pred == k
        positive, negative = count(own), count(~own)
        of_class = dict(
            sensitivity=positive,
            specificity=negative,
            ppv=count(predicted),
            npv=count(~predicted),
            f1=positive,
            auroc=min(positive, negative),
            auprc=positive,
        )
        found.update({f'{name}_{key}': value for key, value in of_class.items()})
        for key in smallest:
            smallest[key] += [of_class[key]] if own.any() else []
    return found | {f'macro_{key}': min(values) for key, values in smallest.items()}


def unit_cases(
    slices: Cases, units: np.ndarray, aggregate: Callable[[np.ndarray], np.ndarray]
) -> tuple[Cases, int]:
    """One case per patient or scan.

    Its scores are aggregated over its slices, its prediction is the class of the highest one.
    Its truth is the class of its slices; if they differ, the highest label among them: of
    normal, common pneumonia and COVID-19 slices the abnormal ones decide.

    Args:
        slices (Cases): n slices.
        units (np.ndarray): Name of the unit of each slice, (n,).
        aggregate (Callable): Class scores of a unit, (K,), from those of its slices, (m, K).

    Returns:
        tuple[Cases, int]: The cases, and how many of them have slices of different classes.
    """
    ids, first, inverse = np.unique(units, return_index=True, return_inverse=True)
    members = np.split(np.argsort(inverse, kind='stable'), np.cumsum(np.bincount(inverse))[:-1])
    scores = np.array([aggregate(slices.scores[own]) for own in members])
    truth = np.array([slices.truth[own].max() for own in members])
    mixed = sum(len(set(slices.truth[own])) > 1 for own in members)
    return Cases(ids, truth, scores.argmax(1), scores, slices.cluster[first]), mixed
