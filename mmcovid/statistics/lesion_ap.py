"""Average precision of lesion masks slice by slice, as in the releases of the paper's author."""

from collections.abc import Sequence

import numpy as np
import pycocotools.mask as mask_utils

#: IoU thresholds 0.50 to 0.95, over which mAP is a mean.
IOU_THRS = np.arange(50, 100, 5) / 100


def per_image_ap(
    gt_masks: np.ndarray,
    gt_labels: np.ndarray,
    pred_masks: np.ndarray,
    pred_labels: np.ndarray,
    pred_scores: np.ndarray,
    iou_thrs: Sequence[float] | None = None,
) -> np.ndarray:
    """Average precision of one slice by the ruler of the author's releases, which is not COCO's.

    All classes are pooled. At a threshold each true object takes, of the predictions of its class,
    the one of highest IoU if that is strictly above the threshold. Predictions that were taken are
    true positives, all others are false. With the predictions sorted by score, best first, AP is
    the area under the precision, made non-increasing, over the recall (all points). A slice
    without truth and prediction counts 1, a slice with only one of the two 0.

    Unlike in COCO's evaluation, several objects may take the same prediction; it is then one true
    positive, and the recall stays below 1.

    That of predictions of equal IoU an object takes the one of lowest score is inferred from
    slices that a release evaluated; they show, too, that the inequality is strict. They do not show
    a prediction that several objects take, nor equal scores, which keep their order here.

    Args:
        gt_masks (np.ndarray): True masks, (G, H, W): bool, or numbers that are cut at 0.5.
        gt_labels (np.ndarray): Their classes, (G,).
        pred_masks (np.ndarray): Predicted masks, (P, H, W), as the true ones.
        pred_labels (np.ndarray): Their classes, (P,).
        pred_scores (np.ndarray): Their scores, (P,).
        iou_thrs (Sequence[float], optional): T thresholds of the IoU. Defaults to None:
            :data:`IOU_THRS`.

    Returns:
        np.ndarray: AP at each threshold, (T,), 0..1.

    Raises:
        ValueError: If the shapes do not fit, or a score or threshold is not a number of its range.
    """
    gt_masks, pred_masks = np.asarray(gt_masks), np.asarray(pred_masks)
    for name, masks, shape in (
        ('gt_masks', gt_masks, '(G, H, W)'),
        ('pred_masks', pred_masks, '(P, H, W)'),
    ):
        if masks.ndim != 3:
            raise ValueError(f'{name} must have the shape {shape}, but has {masks.shape}')
    return rle_average_precision(
        _encode(gt_masks > 0.5),
        gt_labels,
        _encode(pred_masks > 0.5),
        pred_labels,
        pred_scores,
        iou_thrs,
    )


def rle_average_precision(
    gt_masks: Sequence[dict],
    gt_labels: np.ndarray,
    pred_masks: Sequence[dict],
    pred_labels: np.ndarray,
    pred_scores: np.ndarray,
    iou_thrs: Sequence[float] | None = None,
) -> np.ndarray:
    """As :func:`per_image_ap`, from masks as run-length encodings.

    Args:
        gt_masks (Sequence[dict]): G true masks, as of :mod:`pycocotools.mask`.
        gt_labels (np.ndarray): (G,).
        pred_masks (Sequence[dict]): P predicted masks.
        pred_labels (np.ndarray): (P,).
        pred_scores (np.ndarray): (P,).
        iou_thrs (Sequence[float], optional): See :func:`per_image_ap`.

    Returns:
        np.ndarray: (T,).

    Raises:
        ValueError: See :func:`per_image_ap`.
    """
    num_gt, num_pred = len(gt_masks), len(pred_masks)
    gt_labels, pred_labels = np.asarray(gt_labels), np.asarray(pred_labels)
    scores = np.asarray(pred_scores, dtype=float)
    # single precision, in which 7 of 10 pixels are not above a threshold of 0.7 of any type
    thresholds = np.asarray(IOU_THRS if iou_thrs is None else iou_thrs, dtype=np.float32)
    for name, values, number in (
        ('gt_labels', gt_labels, num_gt),
        ('pred_labels', pred_labels, num_pred),
        ('pred_scores', scores, num_pred),
    ):
        if values.shape != (number,):
            raise ValueError(
                f'{name} must have the shape ({number},), one for each mask, but has {values.shape}'
            )
    if not np.isfinite(scores).all():
        raise ValueError('pred_scores are not finite: the weights have probably diverged')
    if thresholds.ndim != 1 or not ((thresholds >= 0) & (thresholds <= 1)).all():
        raise ValueError(f'iou_thrs must be a list of numbers in 0..1, but is {iou_thrs!r}')
    sizes = sorted({tuple(mask['size']) for mask in (*gt_masks, *pred_masks)})
    if len(sizes) > 1:
        raise ValueError(
            f'masks of different sizes (height, width), {sizes}: give true and '
            'predicted ones in pixels of the same slice'
        )
    if not num_gt or not num_pred:
        return np.full(len(thresholds), float(num_gt == num_pred))

    order = np.argsort(-scores, kind='stable')
    ious = mask_utils.iou([pred_masks[i] for i in order], gt_masks, [False] * num_gt)
    ious = np.where(pred_labels[order, None] == gt_labels, ious, 0)  # (P, G)
    taken = num_pred - 1 - ious[::-1].argmax(axis=0)  # the last of equal ones
    highest = np.zeros(num_pred, np.float32)  # IoU with an object that takes the prediction
    np.maximum.at(highest, taken, ious.max(axis=0))
    hits = highest > thresholds[:, None]  # (T, P)
    precision = hits.cumsum(axis=1) / np.arange(1, num_pred + 1)
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    return (hits * precision).sum(axis=1) / num_gt  # each hit is a step of 1 / G in recall


def slice_average_precision(entry: dict) -> np.ndarray:
    """As :func:`per_image_ap`, from a slice as :class:`mmcovid.evaluation.DumpSlices` keeps it.

    Args:
        entry (dict): ``instances`` (dicts with ``bbox_label`` and ``mask``) and
            ``pred_instances`` (``labels``, ``scores`` and ``masks``, run-length encoded or an array
            (P, H, W)), in pixels of the same slice.

    Returns:
        np.ndarray: AP at each of :data:`IOU_THRS`, (10,).

    Raises:
        ValueError: See :func:`per_image_ap`; the message names the slice.
    """
    truth, pred = entry['instances'], entry['pred_instances']
    masks = pred['masks']
    if not isinstance(masks, (list, tuple)):
        masks = _encode(np.asarray(masks) > 0.5)
    try:
        return rle_average_precision(
            [item['mask'] for item in truth],
            np.array([item['bbox_label'] for item in truth], dtype=int),
            masks,
            np.asarray(pred['labels']),
            np.asarray(pred['scores']),
        )
    except ValueError as error:
        raise ValueError(f'{entry.get("img_path", entry.get("img_id"))}: {error}') from error


def mean_average_precision(precision: np.ndarray) -> dict[str, np.ndarray]:
    """The three figures that are reported of AP at :data:`IOU_THRS`.

    Args:
        precision (np.ndarray): (..., 10).

    Returns:
        dict[str, np.ndarray]: ``mAP`` (mean of the thresholds), ``mAP_50`` and ``mAP_75``, each
        (...).
    """
    return dict(mAP=precision.mean(-1), mAP_50=precision[..., 0], mAP_75=precision[..., 5])


def _encode(masks: np.ndarray) -> list[dict]:
    """Run-length encodings of masks, (n, H, W), bool."""
    return [mask_utils.encode(np.asfortranarray(mask, np.uint8)) for mask in masks]
