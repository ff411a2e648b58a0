"""Run a model over slices and keep what its attention did."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmcovid.classes import Classes
from mmcovid.data_tools.slice_names import UNKNOWN
from mmcovid.models.attention_heads import AffinityHead, BaseAttentionHead
from mmcovid.visualization.masks import mask_stack

from .deletion import delete_rois
from .regions import SLICE_REGIONS, lung_field, region_maps, shares_in, true_lesions
from .slices import SliceAttention


def check_attention(model: nn.Module) -> None:
    """Make sure that a model has attention to explain.

    Raises:
        ValueError: If it has no attention head, or one whose weights do not depend on the slice.
    """
    head = getattr(model, 'attention_head', None)
    if not isinstance(head, BaseAttentionHead):
        raise ValueError(
            f'{type(model).__name__} has no attention head: give a config of the '
            'Attention, LSTM-1 or LSTM-2 model (configs/one_shot)'
        )
    if isinstance(head, AffinityHead):
        raise ValueError(
            'the Affinity model has no attention: a place of its sequence has the '
            'same part in every slice, so that nothing of a slice is explained. Give '
            'a config of the Attention, LSTM-1 or LSTM-2 model'
        )


@contextmanager
def recorded_features(head: BaseAttentionHead) -> Iterator[list[Tensor]]:
    """Keep the RoI features (B · β, C, H, W) that go into the attention head meanwhile."""
    kept: list[Tensor] = []
    # its first layer, as predictions do not go through the head's own forward
    handle = head.refinement.register_forward_pre_hook(lambda _, args: kept.append(args[0]))
    try:
        yield kept
    finally:
        handle.remove()


@torch.no_grad()
def record_slices(
    model: nn.Module,
    batches: Iterable[dict],
    classes: Classes,
    score_thr: float = 0.3,
    counts: Sequence[int] = (1, 2, 4, 8),
    draws: int = 10,
    seed: int = 0,
    on_sample: Callable[[int, DetDataSample], None] | None = None,
) -> list[SliceAttention]:
    """Predict slices and keep what the attention did in each.

    Args:
        model (nn.Module): One-shot model in evaluation mode, with ``detect_cls_slices`` in its
            ``test_cfg``, so that lungs are known in all slices.
        batches (Iterable[dict]): Batches of a test set.
        classes (Classes): Of the test set.
        score_thr (float): Least score of the lungs and lesions that make the lung field. Defaults
            to 0.3.
        counts (Sequence[int]): Numbers of RoIs to drop. Defaults to (1, 2, 4, 8).
        draws (int): Random drops of each number. Defaults to 10.
        seed (int): Seed of the random drops. Defaults to 0.
        on_sample (Callable, optional): Called with the index and the sample of each slice.

    Returns:
        list[SliceAttention]: One for each slice, in their order.
    """
    check_attention(model)
    head, order = model.attention_head, model.roi_head.roi_sequence['order']
    slices: list[SliceAttention] = []
    for batch in batches:
        with recorded_features(head) as features:
            samples = model.test_step(batch)
        for sample, roi_feats in zip(samples, features[0].split(head.num_rois)):
            sample = sample.cpu()
            record = _record(sample, classes, score_thr)
            record.deletions = delete_rois(
                head,
                roi_feats,
                np.column_stack([record.boxes, record.labels]),
                record.scores,
                dict(zip(record.branches, record.weights.T)),
                counts,
                draws,
                (seed, len(slices)),
                order,
            )
            if on_sample:
                on_sample(len(slices), sample)
            slices.append(record)
    return slices


def _record(sample: DetDataSample, classes: Classes, score_thr: float) -> SliceAttention:
    """What a sample tells, without deletions."""
    sequence = sample.roi_sequence
    boxes = sequence.bboxes.double().numpy()
    in_lesion, centred = _in_true_lesions(sample, boxes, classes)
    truth = sample.get('gt_label')
    return SliceAttention(
        img_id=str(sample.img_id),
        img_path=str(sample.get('img_path') or ''),
        task=str(sample.get('task')),
        patient_id=str(sample.get('patient_id') or UNKNOWN),
        scan_id=str(sample.get('scan_id') or UNKNOWN),
        truth=None if truth is None else int(truth),
        pred=int(sample.pred_label),
        boxes=boxes,
        labels=sequence.labels.numpy(),
        scores=sequence.scores.double().numpy(),
        weights=sequence.attention.double().numpy().reshape(len(boxes), -1),
        regions=_in_regions(sample, boxes, classes, score_thr),
        in_lesion=in_lesion,
        centred=centred,
    )


def _in_regions(
    sample: DetDataSample, boxes: np.ndarray, classes: Classes, score_thr: float
) -> np.ndarray:
    """Share of each box in each region, (β, 7); nan if no lung was found."""
    masks, labels = _masks_and_labels(sample.pred_instances, sample)
    lungs = lung_field(masks, labels, np.asarray(sample.pred_instances.scores), classes, score_thr)
    if lungs is None:
        return np.full((len(boxes), len(SLICE_REGIONS)), np.nan)
    return shares_in(boxes, region_maps(lungs))


def _in_true_lesions(
    sample: DetDataSample, boxes: np.ndarray, classes: Classes
) -> tuple[np.ndarray, np.ndarray]:
    """Share of each box in true lesions, and 1 where its centre is in one; nan without any."""
    unknown = np.full(len(boxes), np.nan)
    if sample.get('task') != 'seg' or 'labels' not in sample.gt_instances:
        return unknown, unknown
    lesions = true_lesions(*_masks_and_labels(sample.gt_instances, sample), classes)[None]
    if not lesions.any():
        return unknown, unknown
    centres = np.floor(np.tile((boxes[:, :2] + boxes[:, 2:]) / 2, 2))
    in_lesion, centred = (
        shares_in(places, lesions.astype(float))[:, 0] for places in (boxes, centres)
    )
    return in_lesion, centred


def _masks_and_labels(
    instances: InstanceData, sample: DetDataSample
) -> tuple[np.ndarray, np.ndarray]:
    """Masks (n, H, W) in pixels of the original slice, and lesion classes (n,)."""
    return mask_stack(instances, tuple(sample.ori_shape[:2])), np.asarray(instances.labels)
