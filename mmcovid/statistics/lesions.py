"""Average precision and Dice of lesions in every resample, from weights of patients."""

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pycocotools.mask as mask_utils
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from .bootstrap import weighted_sums
from .class_scores import mean_over_classes
from .lesion_ap import mean_average_precision, slice_average_precision

RECALLS = np.linspace(0, 1, 101)  # COCO's


@dataclass(frozen=True)
class LesionMatches:
    """Predictions of one class over n slices, best first, d of them, at 10 IoU thresholds."""

    num_truth: np.ndarray  #: (n,), int, true lesions of each slice
    slice: np.ndarray  #: (d,), int, of each prediction
    score: np.ndarray  #: (d,)
    matched: np.ndarray  #: (10, d), bool, at IoU 0.5 to 0.95
    ignored: np.ndarray  #: (10, d), bool, matched with a lesion that does not count


def match_lesions(entries: Sequence[dict], num_classes: int) -> list[LesionMatches]:
    """Match predicted to true lesions by mask, as COCO does.

    Args:
        entries (Sequence[dict]): n dumped slices with ``instances`` and ``pred_instances``.
        num_classes (int): Number of lesion classes.

    Returns:
        list[LesionMatches]: Of each class.
    """
    truth, found = COCO(), []
    annotations: list[dict] = []
    for i, entry in enumerate(entries):
        for item in entry['instances']:
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=i,
                    category_id=item['bbox_label'],
                    segmentation=item['mask'],
                    area=float(mask_utils.area(item['mask'])),
                    iscrowd=int(item.get('ignore_flag', 0)),
                )
            )
        pred = entry['pred_instances']
        for label, score, mask in zip(pred['labels'], pred['scores'], pred['masks']):
            found.append(
                dict(image_id=i, category_id=int(label), score=float(score), segmentation=mask)
            )
    truth.dataset = dict(
        images=[
            dict(id=i, height=entry['ori_shape'][0], width=entry['ori_shape'][1])
            for i, entry in enumerate(entries)
        ],
        categories=[dict(id=k) for k in range(num_classes)],
        annotations=annotations,
    )
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        if not found:
            return [
                _matches(
                    [
                        sum(a['image_id'] == i and a['category_id'] == k for a in annotations)
                        for i in range(len(entries))
                    ],
                    [],
                )
                for k in range(num_classes)
            ]
        evaluation = COCOeval(truth, truth.loadRes(found), 'segm')
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ['all']
        evaluation.params.maxDets = [1000]
        evaluation.evaluate()
    per_class = np.array(evaluation.evalImgs, dtype=object).reshape(num_classes, len(entries))
    return [
        _matches(
            [0 if e is None else int((np.asarray(e['gtIgnore']) == 0).sum()) for e in slices],
            [(i, e) for i, e in enumerate(slices) if e is not None],
        )
        for slices in per_class
    ]


def _matches(num_truth: Sequence[int], evaluated: list[tuple[int, dict]]) -> LesionMatches:
    """Of one class, from what COCO's evaluation tells of slices, each with its position."""
    slices = [np.full(len(e['dtScores']), i) for i, e in evaluated]
    scores = [np.asarray(e['dtScores'], dtype=float) for _, e in evaluated]
    matched = [np.asarray(e['dtMatches']).reshape(10, -1) > 0 for _, e in evaluated]
    ignored = [np.asarray(e['dtIgnore']).reshape(10, -1) > 0 for _, e in evaluated]
    scores = np.concatenate([*scores, np.zeros(0)])
    order = np.argsort(-scores, kind='mergesort')
    stack = [
        np.concatenate([*parts, np.zeros((10, 0), bool)], axis=1)[:, order]
        for parts in (matched, ignored)
    ]
    return LesionMatches(
        num_truth=np.array(num_truth),
        score=scores[order],
        matched=stack[0],
        ignored=stack[1],
        slice=np.concatenate([*slices, np.zeros(0, int)]).astype(int)[order],
    )


def average_precision(
    matches: LesionMatches, cluster: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """COCO's average precision of one class in every resample.

    Args:
        matches (LesionMatches): Of the class, from :func:`match_lesions`.
        cluster (np.ndarray): Patient of each slice, (n,), int.
        weights (np.ndarray): (R + 1, C).

    Returns:
        np.ndarray: (R + 1, 10) at the IoU thresholds; nan where a resample has no true lesion of
        the class.
    """
    num_truth = weighted_sums(matches.num_truth[:, None].astype(float), cluster, weights)[:, 0]
    result = np.full((len(weights), 10), np.nan)
    hit = matches.matched & ~matches.ignored
    miss = ~matches.matched & ~matches.ignored
    drawn_from = cluster[matches.slice]
    for row in np.flatnonzero(num_truth):
        drawn = weights[row, drawn_from].astype(float)
        tp, fp = np.cumsum(hit * drawn, axis=1), np.cumsum(miss * drawn, axis=1)
        precision = tp / (tp + fp + np.spacing(1))
        best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        best = np.pad(best, ((0, 0), (0, 1)))  # recall that is never reached: 0
        for t, recall in enumerate(tp / num_truth[row]):
            result[row, t] = best[t, np.searchsorted(recall, RECALLS, side='left')].mean()
    return result


def overlaps(entries: Sequence[dict], num_classes: int, score_thr: float) -> np.ndarray:
    """Pixels of each lesion class that are predicted, true, and both.

    The mask of a class in a slice is the union of its instances; predicted ones count from
    ``score_thr`` on.

    Args:
        entries (Sequence[dict]): n dumped slices.
        num_classes (int): Number of lesion classes.
        score_thr (float): Least score of a predicted instance.

    Returns:
        np.ndarray: (n, classes, 3), float: both, predicted, true.
    """
    pixels = np.zeros((len(entries), num_classes, 3))
    for i, entry in enumerate(entries):
        pred = entry['pred_instances']
        for k in range(num_classes):
            found = [
                mask
                for label, score, mask in zip(pred['labels'], pred['scores'], pred['masks'])
                if label == k and score >= score_thr
            ]
            true = [item['mask'] for item in entry['instances'] if item['bbox_label'] == k]
            for j, masks in enumerate((found, true)):
                if masks:
                    pixels[i, k, j + 1] = mask_utils.area(mask_utils.merge(masks))
            if found and true:
                both = [mask_utils.merge(found), mask_utils.merge(true)]
                pixels[i, k, 0] = mask_utils.area(mask_utils.merge(both, intersect=True))
    return pixels


def lesion_figures(
    entries: Sequence[dict],
    classes: tuple[str, ...],
    cluster: np.ndarray,
    weights: np.ndarray,
    score_thr: float,
) -> dict[str, np.ndarray]:
    """All figures of lesion segmentation in every resample.

    Args:
        entries (Sequence[dict]): n dumped slices.
        classes (tuple[str, ...]): Names of the lesion classes.
        cluster (np.ndarray): Patient of each slice, (n,), int.
        weights (np.ndarray): Weights of the patients, (R + 1, C).
        score_thr (float): Least score of an instance that counts for Dice.

    Returns:
        dict[str, np.ndarray]: (R + 1,) each: COCO's average precision of masks, ``mAP`` (IoU 0.5
        to 0.95), ``mAP_50`` and ``mAP_75``, means over the classes, and per class
        ``<class>_ap`` and ``<class>_ap50``; ``per_image_mAP``, ``per_image_mAP_50`` and
        ``per_image_mAP_75``, means over the slices of their average precision, see
        :func:`mmcovid.evaluation.per_image_ap`; ``<class>_dice``, the mean over the slices that
        have the class in truth or prediction, and ``<class>_dice_pooled``, of all pixels together.
    """
    matches = match_lesions(entries, len(classes))
    precision = np.stack([average_precision(m, cluster, weights) for m in matches], axis=1)
    figures = dict(
        mAP=mean_over_classes(precision.mean(2)),
        mAP_50=mean_over_classes(precision[:, :, 0]),
        mAP_75=mean_over_classes(precision[:, :, 5]),
    )
    per_image = np.array([slice_average_precision(entry) for entry in entries])
    sums = weighted_sums(np.column_stack([per_image, np.ones(len(entries))]), cluster, weights)
    figures.update(
        {
            f'per_image_{name}': values
            for name, values in mean_average_precision(sums[:, :-1] / sums[:, -1:]).items()
        }
    )
    pixels = overlaps(entries, len(classes), score_thr)
    for k, name in enumerate(classes):
        both, found, true = pixels[:, k].T
        present = found + true > 0
        with np.errstate(invalid='ignore', divide='ignore'):
            dice = np.where(present, 2 * both / (found + true), 0)
            sums = weighted_sums(
                np.column_stack([dice, present, 2 * both, found + true]), cluster, weights
            )
            figures.update(
                {
                    f'{name}_ap': precision[:, k].mean(1),
                    f'{name}_ap50': precision[:, k, 0],
                    f'{name}_dice': sums[:, 0] / sums[:, 1],
                    f'{name}_dice_pooled': sums[:, 2] / sums[:, 3],
                }
            )
    return figures
