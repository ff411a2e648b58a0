"""Detection of lesions in scans: matching, FROC and panoptic quality, in every resample.

Sources: D. P. Chakraborty, "Maximum likelihood analysis of free-response receiver operating
characteristic (FROC) data", Med. Phys. 16, 1989; A. A. A. Setio et al., "Validation, comparison,
and combination of algorithms for automatic detection of pulmonary nodules", Med. Image Anal. 42,
2017, for the rates; A. Kirillov et al., "Panoptic segmentation", CVPR 2019.
"""

from dataclasses import dataclass

import numpy as np

from .bootstrap import chunks, weighted_sums

#: False positives per scan at which sensitivities are read off.
RATES = (0.125, 0.25, 0.5, 1, 2, 4, 8)
#: A pair that overlaps by more than this is the only one of both its lesions.
PANOPTIC_IOU = 0.5


@dataclass(frozen=True)
class Detections:
    """d found lesions of n scans, in any order."""

    num_truth: np.ndarray  #: (n,), int, true lesions of each scan
    scan: np.ndarray  #: (d,), int, of each found lesion
    score: np.ndarray  #: (d,)
    hit: np.ndarray  #: (d,), bool, whether it is matched with a true lesion


def match_best_first(iou: np.ndarray, score: np.ndarray, threshold: float) -> np.ndarray:
    """Match found to true lesions of a scan.

    The found ones choose, that of the highest score first (of equal ones, the first): each takes
    the free true lesion that it overlaps most, if that is enough.

    Args:
        iou (np.ndarray): Intersection over union of true and found lesions, (t, d).
        score (np.ndarray): Of the found ones, (d,).
        threshold (float): Least intersection over union, above 0.

    Returns:
        np.ndarray: The true lesion of each found one, (d,), int; -1 for none.
    """
    matched = np.full(len(score), -1)
    if not len(iou):
        return matched
    free = iou.copy()
    for each in np.argsort(-score, kind='stable'):
        best = free[:, each].argmax()
        if free[best, each] >= threshold:
            matched[each], free[best] = best, -1
    return matched


def froc_curve(detections: Detections) -> tuple[np.ndarray, np.ndarray]:
    """False positives per scan, and sensitivity, of the thresholds between scores.

    Args:
        detections (Detections): Of scans with at least one true lesion.

    Returns:
        tuple[np.ndarray, np.ndarray]: From no lesion found to all, each (p,).
    """
    order, ends = _by_score(detections.score)
    hit = detections.hit[order]
    hits, misses = (np.cumsum(each)[ends] for each in (hit, ~hit))
    scans, truth = len(detections.num_truth), detections.num_truth.sum()
    return np.append(0, misses / scans), np.append(0, hits / truth)


def froc_sensitivity(
    detections: Detections, cluster: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """The highest sensitivity at no more than so many false positives per scan.

    Args:
        detections (Detections): Of n scans.
        cluster (np.ndarray): Patient of each scan, (n,), int.
        weights (np.ndarray): Weights of the patients, (R + 1, C).

    Returns:
        np.ndarray: (R + 1, rates) at :data:`RATES`; nan where no true lesion is drawn. Nothing is
        interpolated: a threshold between scores is chosen.
    """
    order, ends = _by_score(detections.score)
    hit, drawn_from = detections.hit[order], cluster[detections.scan[order]]
    scans, truth = _totals(detections, cluster, weights)
    result = np.empty((len(weights), len(RATES)))
    for rows, part in chunks(weights):
        drawn = part[:, drawn_from]
        hits, misses = (np.cumsum(drawn * each, axis=1)[:, ends] for each in (hit, ~hit))
        hits = np.pad(hits, ((0, 0), (1, 0)))  # no lesion found
        for k, rate in enumerate(RATES):
            allowed = (misses <= rate * scans[rows, None]).sum(1)
            result[rows, k] = hits[np.arange(len(hits)), allowed]
    with np.errstate(invalid='ignore', divide='ignore'):
        return result / truth[:, None]


def detection_figures(
    detections: Detections, cluster: np.ndarray, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """Figures of all found lesions, whatever their score.

    Args:
        detections (Detections): Of n scans.
        cluster (np.ndarray): Patient of each scan, (n,), int.
        weights (np.ndarray): Weights of the patients, (R + 1, C).

    Returns:
        dict[str, np.ndarray]: (R + 1,) each: ``sensitivity``, ``ppv`` and ``fp_per_scan``; nan
        where a denominator is 0.
    """
    hits, found = _of_scans(detections)
    scans, truth = _totals(detections, cluster, weights)
    hits, found = weighted_sums(np.column_stack([hits, found]), cluster, weights).T
    with np.errstate(invalid='ignore', divide='ignore'):
        return dict(sensitivity=hits / truth, ppv=hits / found, fp_per_scan=(found - hits) / scans)


def panoptic_figures(
    iou_sum: np.ndarray,
    pairs: np.ndarray,
    true: np.ndarray,
    found: np.ndarray,
    cluster: np.ndarray,
    weights: np.ndarray,
) -> dict[str, np.ndarray]:
    """Panoptic quality of all lesions together.

    Args:
        iou_sum (np.ndarray): Of the pairs above :data:`PANOPTIC_IOU` of each scan, (n,).
        pairs (np.ndarray): Their number, (n,).
        true (np.ndarray): Number of true lesions, (n,).
        found (np.ndarray): Number of found lesions, (n,).
        cluster (np.ndarray): Patient of each scan, (n,), int.
        weights (np.ndarray): Weights of the patients, (R + 1, C).

    Returns:
        dict[str, np.ndarray]: (R + 1,) each: ``pq``, and its factors ``sq``, the mean overlap of
        pairs, and ``rq``, their F1; nan where a denominator is 0.
    """
    iou_sum, pairs, true, found = weighted_sums(
        np.column_stack([iou_sum, pairs, true, found]).astype(float), cluster, weights
    ).T
    with np.errstate(invalid='ignore', divide='ignore'):
        every = (true + found) / 2
        return dict(pq=iou_sum / every, sq=iou_sum / pairs, rq=pairs / every)


def _by_score(score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Order of found lesions, best first, and the last of each score in it: no threshold parts
    equal ones."""
    order = np.argsort(-score, kind='stable')
    in_order = score[order]
    return order, np.flatnonzero(np.append(np.diff(in_order) != 0, True)[: len(order)])


def _of_scans(detections: Detections) -> tuple[np.ndarray, np.ndarray]:
    """Hits and found lesions of each scan, (n,) each."""
    scans = len(detections.num_truth)
    hits = np.bincount(detections.scan, detections.hit, minlength=scans)
    return hits, np.bincount(detections.scan, minlength=scans).astype(float)


def _totals(
    detections: Detections, cluster: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Scans and true lesions of each resample, (R + 1,) each."""
    truth = detections.num_truth.astype(float)
    scans, truth = weighted_sums(np.column_stack([np.ones(len(truth)), truth]), cluster, weights).T
    return scans, truth
