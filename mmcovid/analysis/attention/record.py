"""Run a model over slices and keep what its attention did."""
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from mmdet.structures import DetDataSample
from torch import Tensor, nn

from mmcovid.data_tools.slice_names import UNKNOWN
from mmcovid.drawing.rois import BRANCHES
from mmcovid.models.attention_heads import AffinityHead, BaseAttentionHead

from .deletion import Deletion, delete_rois
from .regions import REGIONS, lung_field, region_maps, shares_in, true_lesions


@dataclass
class SliceAttention:
    """The RoI sequence of one slice, with what its RoIs are and what dropping them does.

    Boxes are in pixels of the original slice. Shares are of the pixels of each box; they are nan
    where the model found no lung, or where nothing is known of true lesions.
    """

    img_id: str
    img_path: str
    task: str  #: 'cls' or 'seg'
    patient_id: str
    scan_id: str
    truth: int | None  #: true class, of class-labelled slices
    pred: int
    boxes: np.ndarray  #: (β, 4)
    labels: np.ndarray  #: (β,)
    scores: np.ndarray  #: (β,)
    weights: np.ndarray  #: (β, branches)
    regions: np.ndarray  #: (β, 7), share of each box in each of the regions
    in_lesion: np.ndarray  #: (β,), share of each box in true lesions
    centred: np.ndarray  #: (β,), 1 where the centre of a box is in a true lesion
    deletions: list[Deletion] = field(default_factory=list)


def check_attention(model: nn.Module) -> None:
    """Make sure that a model has attention to explain.

    Raises:
        ValueError: If it has no attention head, or one whose weights do not depend on the slice.
    """
    head = getattr(model, 'attention_head', None)
    if not isinstance(head, BaseAttentionHead):
        raise ValueError(f'{type(model).__name__} has no attention head: give a config of the '
                         'Attention, LSTM-1 or LSTM-2 model (configs/one_shot)')
    if isinstance(head, AffinityHead):
        raise ValueError('the Affinity model has no attention: a place of its sequence has the '
                         'same part in every slice, so that nothing of a slice is explained. Give '
                         'a config of the Attention, LSTM-1 or LSTM-2 model')


def branch_names(num_branches: int) -> tuple[str, ...]:
    """Names of the attention branches; a single one is called 'attention'."""
    return BRANCHES if num_branches == 2 else ('attention',)


@contextmanager
def recorded_features(head: BaseAttentionHead) -> Iterator[list[Tensor]]:
    """Keep the RoI features (B · β, C, H, W) that go into the attention head meanwhile."""
    kept: list[Tensor] = []
    handle = head.register_forward_pre_hook(lambda _, args: kept.append(args[0]))
    try:
        yield kept
    finally:
        handle.remove()


@torch.no_grad()
def record_slices(model: nn.Module,
                  batches: Iterable[dict],
                  classes: Sequence[str],
                  score_thr: float = 0.3,
                  counts: Sequence[int] = (1, 2, 4, 8),
                  draws: int = 10,
                  seed: int = 0,
                  on_sample: Callable[[int, DetDataSample], None] | None = None
                  ) -> list[SliceAttention]:
    """Predict slices and keep what the attention did in each.

    Args:
        model (nn.Module): One-shot model in evaluation mode, with ``detect_cls_slices`` in its
            ``test_cfg``, so that lungs are known in all slices.
        batches (Iterable[dict]): Batches of a test set.
        classes (Sequence[str]): Names of the lesion classes.
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
            names = branch_names(record.weights.shape[1])
            record.deletions = delete_rois(
                head, roi_feats, np.column_stack([record.boxes, record.labels]), record.scores,
                dict(zip(names, record.weights.T)), counts, draws, (seed, len(slices)), order)
            if on_sample:
                on_sample(len(slices), sample)
            slices.append(record)
    return slices


def _record(sample: DetDataSample, classes: Sequence[str], score_thr: float) -> SliceAttention:
    """What a sample tells, without deletions."""
    sequence, size = sample.roi_sequence, tuple(sample.ori_shape[:2])
    boxes = sequence.bboxes.double().numpy()
    lungs = lung_field(sample.pred_instances, classes, size, score_thr)
    regions = (np.full((len(boxes), len(REGIONS)), np.nan) if lungs is None
               else shares_in(boxes, region_maps(lungs)))
    in_lesion = centred = np.full(len(boxes), np.nan)
    if sample.get('task') == 'seg' and 'labels' in sample.gt_instances:
        lesions = true_lesions(sample.gt_instances, classes, size)[None]
        if lesions.any():
            centres = np.tile((boxes[:, :2] + boxes[:, 2:]) / 2, 2)
            in_lesion, centred = (
                shares_in(each, lesions.astype(float))[:, 0]
                for each in (boxes, np.floor(centres)))
    truth = sample.get('gt_label')
    return SliceAttention(
        img_id=str(sample.img_id), img_path=str(sample.get('img_path') or ''),
        task=str(sample.get('task')),
        patient_id=str(sample.get('patient_id') or UNKNOWN),
        scan_id=str(sample.get('scan_id') or UNKNOWN),
        truth=None if truth is None else int(truth), pred=int(sample.pred_label),
        boxes=boxes, labels=sequence.labels.numpy(), scores=sequence.scores.double().numpy(),
        weights=sequence.attention.double().numpy().reshape(len(boxes), -1),
        regions=regions, in_lesion=in_lesion, centred=centred)
