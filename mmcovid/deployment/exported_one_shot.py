"""The forward pass of a one-shot detector on one slice, with shapes that never change."""

import torch
from torch import Tensor

from mmcovid.models.detectors import OneShotRCNN
from mmcovid.models.layers import FusedUpsample

from .exported_mask_rcnn import ExportedMaskRCNN, align, nms_of_groups
from .exported_model import image_results
from .operators import EXCLUDED


class ExportedOneShot(ExportedMaskRCNN):
    """What an :obj:`OneShotRCNN` finds in one slice, and the class of the slice."""

    def __init__(self, model: OneShotRCNN, input_size: tuple[int, int]) -> None:
        super().__init__(model, input_size)
        branch = model.roi_head.classification_branch
        self.upsample = FusedUpsample(branch.upsample, branch.conv_reduce)
        sequence = model.roi_head.roi_sequence
        self.order: str = sequence['order']
        shuffled = torch.randperm(sequence['num_rois'], generator=torch.Generator().manual_seed(0))
        self.register_buffer('shuffled', shuffled)

    def _classify(
        self, x: tuple[Tensor, ...], proposals: Tensor, count: Tensor
    ) -> dict[str, Tensor]:
        """Image-level results, and the RoI sequence with its attention, (β,) or (β, 2)."""
        boxes, labels, scores = self._roi_sequence(x, proposals, count)
        branch = self.model.roi_head.classification_branch
        feats = align(self.model.roi_head.mask_roi_extractor, x, boxes)
        for conv in branch.convs:
            feats = conv(feats)
        head = self.model.attention_head
        vectors, attention = head.embed(self.upsample(feats).relu())
        # not squeezed: ONNX's Squeeze fails where PyTorch's leaves two branches as they are
        weights = attention[0, :, 0] if attention.size(2) == 1 else attention[0]
        return dict(
            **image_results(vectors, head),
            roi_boxes=boxes,
            roi_labels=labels,
            roi_scores=scores,
            attention=weights,
        )

    def _roi_sequence(
        self, x: tuple[Tensor, ...], proposals: Tensor, count: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes (β, 4), labels (β,) and scores (β,), as :func:`select_roi_sequence` has them."""
        head = self.model.roi_head
        cfg = head.roi_sequence
        boxes, scores, labels, _ = self._decoded(
            x, proposals, count, head.classification_branch.bbox_head
        )
        areas = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)
        scores = scores.masked_fill(areas <= cfg.get('min_area', 1e-5), EXCLUDED)
        # the whole slice, which counts if nothing else does
        none = scores.max() == EXCLUDED
        boxes = torch.cat([boxes, self._whole()])
        scores = torch.cat([scores, torch.where(none, 0.0, EXCLUDED).view(1)])
        labels = torch.cat([labels, labels.new_zeros(1)])

        number = cfg['num_rois']
        kept, found = nms_of_groups(boxes, scores, labels, cfg.get('iou_threshold', 0.25), number)
        picked = kept[torch.arange(number) % found]
        if self.order == 'distance':
            distance = boxes[picked, :2].norm(dim=1)
            picked = picked[stable_argsort(distance)]
        elif self.order == 'random':
            picked = picked[self.shuffled]
        return boxes[picked], labels[picked], scores[picked]

    def _whole(self) -> Tensor:
        """The whole slice as a box, (1, 4)."""
        return torch.cat([torch.zeros(2), self.limits[:2]])[None]


def stable_argsort(values: Tensor) -> Tensor:
    """Indices that sort (n,), equal values in their order, which ONNX's TopK leaves open."""
    places = torch.arange(len(values))
    before = (values[None] < values[:, None]) | (
        (values[None] == values[:, None]) & (places[None] < places[:, None])
    )
    ranks = before.sum(dim=1)
    return (ranks[None] == places[:, None]).long().argmax(dim=1)
