"""The forward pass of a one-shot detector on one slice, with shapes that never change."""

import torch
import torch.nn.functional as F
from mmdet.models.roi_heads.bbox_heads import BBoxHead
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
from torch import Tensor, nn

from mmcovid.models.data_preprocessors.slice_data_preprocessor import (
    SliceDataPreprocessor,
    standardize,
)
from mmcovid.models.dense_heads import LogitRankedRPNHead
from mmcovid.models.detectors import OneShotRCNN
from mmcovid.models.layers import FusedUpsample

from .operators import EXCLUDED, LOWEST, align_rois, select_boxes


class ExportedOneShot(nn.Module):
    """What :meth:`OneShotRCNN.predict` gives of one slice, as tensors of fixed sizes.

    Where the detector has as many proposals or detections as there are, this has all places that
    there could be, and a count.

    Args:
        model (:obj:`OneShotRCNN`): The trained detector, on the CPU.
        input_size (tuple[int, int]): Height and width of the slice in pixels.

    Raises:
        ValueError: The detector does what this cannot.
    """

    def __init__(self, model: OneShotRCNN, input_size: tuple[int, int]) -> None:
        super().__init__()
        check_model(model)
        self.model = model.eval()
        self.input_size = input_size
        branch = model.roi_head.classification_branch
        self.upsample = FusedUpsample(branch.upsample, branch.conv_reduce)

        height, width = input_size
        divisor = _slice_preprocessor(model).pad_size_divisor
        self.padding = (0, -width % divisor, 0, -height % divisor)
        with torch.no_grad():
            sizes = [x.shape[-2:] for x in self._features(torch.zeros(1, height, width))]
        self.anchors = model.rpn_head.prior_generator.grid_priors(sizes, device='cpu')
        self.register_buffer('limits', torch.tensor([width, height] * 2, dtype=torch.float))

        sequence = model.roi_head.roi_sequence
        self.order: str = sequence['order']
        shuffled = torch.randperm(sequence['num_rois'], generator=torch.Generator().manual_seed(0))
        self.register_buffer('shuffled', shuffled)

    def forward(self, slices: Tensor) -> tuple[Tensor, ...]:
        """Segment the lesions of a slice and classify it.

        Args:
            slices (Tensor): Grey values as they are stored, (1, H, W).

        Returns:
            tuple[Tensor, ...]: See :data:`mmcovid.deployment.metadata.OUTPUTS`.
        """
        x = self._features(slices)
        proposals, count = self._proposals(x)
        detections = self._detect(x, proposals, count)
        boxes, labels, scores = self._roi_sequence(x, proposals, count)
        logits, class_scores, attention = self._classify(x, boxes)
        return *detections, logits, class_scores, boxes, labels, scores, attention

    def _features(self, slices: Tensor) -> tuple[Tensor, ...]:
        """Feature maps, each (1, C, h, w)."""
        img = F.pad(standardize(slices), self.padding)
        return self.model.extract_feat(img[None].expand(-1, 3, -1, -1))

    def _proposals(self, x: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """Region proposals (P, 4), and how many of the P places are filled, (1,)."""
        head = self.model.rpn_head
        cfg = head.test_cfg
        boxes, scores, levels = [], [], []
        for level, (logits, deltas, anchors) in enumerate(zip(*head(x), self.anchors)):
            logits = logits[0].permute(1, 2, 0).flatten()
            deltas = deltas[0].permute(1, 2, 0).reshape(-1, 4)
            score = logits if isinstance(head, LogitRankedRPNHead) else logits.sigmoid()
            if 0 < cfg.get('nms_pre', -1) < len(score):
                score, best = score.topk(cfg.nms_pre)
                deltas, anchors = deltas[best], anchors[best]
            boxes.append(self._clip(head.bbox_coder.decode(anchors, deltas)))
            scores.append(score)
            levels.append(torch.full_like(score, level))
        boxes, scores, levels = torch.cat(boxes), torch.cat(scores), torch.cat(levels)
        least = cfg.get('min_bbox_size', -1)
        if least >= 0:
            large = (boxes[:, 2:] - boxes[:, :2] > least).all(dim=1)
            scores = scores.masked_fill(~large, EXCLUDED)
        kept, count = _select(
            boxes, scores, levels, cfg.nms['iou_threshold'], LOWEST, cfg.max_per_img
        )
        return boxes[kept], count

    def _detect(
        self, x: tuple[Tensor, ...], proposals: Tensor, count: Tensor
    ) -> tuple[Tensor, ...]:
        """Boxes (D, 4), labels (D,), scores (D,) and masks (D, 28, 28) of lesions, and their
        number (1,)."""
        head = self.model.roi_head
        cfg = head.test_cfg
        boxes, scores, labels = self._decoded(x, proposals, count, head.bbox_head)
        kept, found = _select(
            boxes, scores, labels, cfg.nms['iou_threshold'], cfg.score_thr, cfg.max_per_img
        )
        boxes, scores, labels = boxes[kept], scores[kept], labels[kept]
        logits = head.mask_head(_align(head.mask_roi_extractor, x, boxes))
        own = labels[:, None, None, None].expand(-1, 1, *logits.shape[2:])
        masks = logits.gather(1, own).squeeze(1).sigmoid()
        empty = torch.arange(cfg.max_per_img) >= found
        return (
            boxes.masked_fill(empty[:, None], 0),
            labels.masked_fill(empty, -1),
            scores.masked_fill(empty, 0),
            masks.masked_fill(empty[:, None, None], 0),
            found,
        )

    def _roi_sequence(
        self, x: tuple[Tensor, ...], proposals: Tensor, count: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes (β, 4), labels (β,) and scores (β,), as :func:`select_roi_sequence` has them."""
        head = self.model.roi_head
        cfg = head.roi_sequence
        boxes, scores, labels = self._decoded(
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
        kept, found = _select(boxes, scores, labels, cfg.get('iou_threshold', 0.25), LOWEST, number)
        picked = kept[torch.arange(number) % found]
        if self.order == 'distance':
            distance = boxes[picked, :2].norm(dim=1)
            picked = picked[_stable_argsort(distance)]
        elif self.order == 'random':
            picked = picked[self.shuffled]
        return boxes[picked], labels[picked], scores[picked]

    def _classify(self, x: tuple[Tensor, ...], boxes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Image logits (K,), scores (K,) and attention (β,) or (β, 2) of a RoI sequence (β, 4)."""
        branch = self.model.roi_head.classification_branch
        feats = _align(self.model.roi_head.mask_roi_extractor, x, boxes)
        for conv in branch.convs:
            feats = conv(feats)
        head = self.model.attention_head
        logits, attention = head(self.upsample(feats).relu())
        scores = F.logsigmoid(logits / head.temperature).softmax(dim=1)
        # not squeezed: ONNX's Squeeze fails where PyTorch's leaves two branches as they are
        weights = attention[0, :, 0] if attention.size(2) == 1 else attention[0]
        return logits[0], scores[0], weights

    def _decoded(
        self, x: tuple[Tensor, ...], proposals: Tensor, count: Tensor, bbox_head: BBoxHead
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes (P · K, 4), scores and labels (P · K,) of all classes of all proposals.

        Scores of places that are not filled are :data:`EXCLUDED`.
        """
        feats = _align(self.model.roi_head.bbox_roi_extractor, x, proposals)
        logits, deltas = bbox_head(feats)
        number = bbox_head.num_classes
        boxes = bbox_head.bbox_coder.decode(
            proposals.repeat_interleave(number, dim=0), deltas.view(-1, 4)
        )
        empty = torch.arange(len(proposals)) >= count
        scores = logits.softmax(dim=1)[:, :number].masked_fill(empty[:, None], EXCLUDED)
        labels = torch.arange(number).repeat(len(proposals))
        return self._clip(boxes), scores.flatten(), labels

    def _clip(self, boxes: Tensor) -> Tensor:
        """Boxes (n, 4) within the slice."""
        return boxes.clamp(min=0).minimum(self.limits)

    def _whole(self) -> Tensor:
        """The whole slice as a box, (1, 4)."""
        return torch.cat([torch.zeros(2), self.limits[:2]])[None]


def _select(
    boxes: Tensor, scores: Tensor, groups: Tensor, iou_threshold: float, least: float, number: int
) -> tuple[Tensor, Tensor]:
    """NMS within each group; see :func:`select_boxes`.

    As in MMCV, groups are moved apart by the largest coordinate of the boxes that count.
    """
    counts = scores > least
    apart = boxes.masked_fill(~counts[:, None], 0).max() + 1
    return select_boxes(boxes + (groups * apart)[:, None], scores, iou_threshold, least, number)


def _align(extractor: SingleRoIExtractor, x: tuple[Tensor, ...], boxes: Tensor) -> Tensor:
    """RoI features (n, C, h, w) of boxes (n, 4), each from the level of its size."""
    aligned = [
        align_rois(
            feat,
            boxes,
            list(layer.output_size),
            layer.spatial_scale,
            layer.sampling_ratio,
            layer.aligned,
        )
        for feat, layer in zip(x, extractor.roi_layers)
    ]
    if len(aligned) == 1:
        return aligned[0]
    rois = torch.cat([boxes.new_zeros(len(boxes), 1), boxes], dim=1)
    levels = extractor.map_roi_levels(rois, len(aligned))[:, None, None, None]
    return sum(torch.where(levels == i, feats, 0) for i, feats in enumerate(aligned))


def _stable_argsort(values: Tensor) -> Tensor:
    """Indices that sort (n,), equal values in their order, which ONNX's TopK leaves open."""
    places = torch.arange(len(values))
    before = (values[None] < values[:, None]) | (
        (values[None] == values[:, None]) & (places[None] < places[:, None])
    )
    ranks = before.sum(dim=1)
    return (ranks[None] == places[:, None]).long().argmax(dim=1)


def _slice_preprocessor(model: OneShotRCNN) -> SliceDataPreprocessor:
    """What preprocesses slices, also within that of two branches."""
    outer = model.data_preprocessor
    return outer.data_preprocessor if hasattr(outer, 'data_preprocessor') else outer


def check_model(model: nn.Module) -> None:
    """Refuse what :class:`ExportedOneShot` would do otherwise than the model.

    Args:
        model (nn.Module): A detector, or any other.

    Raises:
        ValueError: With what that is.
    """
    if not isinstance(model, OneShotRCNN):
        raise ValueError(
            f'models of type {type(model).__name__} are not exported, only one-shot detectors'
        )
    rpn, rcnn = model.rpn_head, model.roi_head
    reasons = {
        'another preprocessor than SliceDataPreprocessor': type(_slice_preprocessor(model))
        is not SliceDataPreprocessor,
        'NMS of another type than nms': any(
            cfg.nms.get('type', 'nms') != 'nms' or set(cfg.nms) > {'type', 'iou_threshold'}
            for cfg in (rpn.test_cfg, rcnn.test_cfg)
        ),
        'no limit of boxes (max_per_img)': min(rpn.test_cfg.max_per_img, rcnn.test_cfg.max_per_img)
        < 1,
        'boxes that are the same for all classes': rcnn.bbox_head.reg_class_agnostic,
        'masks that are the same for all classes': rcnn.mask_head.class_agnostic,
        'box scores that are no softmax': rcnn.bbox_head.custom_cls_channels,
        'RPN scores that are no sigmoid': not rpn.use_sigmoid_cls,
        'boxes that may leave the slice': not (
            rpn.bbox_coder.clip_border and rcnn.bbox_head.bbox_coder.clip_border
        ),
        'another RoI extractor than SingleRoIExtractor with RoIAlign': any(
            type(each) is not SingleRoIExtractor
            or any(getattr(layer, 'pool_mode', '') != 'avg' for layer in each.roi_layers)
            for each in (rcnn.bbox_roi_extractor, rcnn.mask_roi_extractor)
        ),
        'grey masks': rcnn.test_cfg.mask_thr_binary < 0,
    }
    found = [reason for reason, applies in reasons.items() if applies]
    if found:
        raise ValueError(f'the model cannot be exported: it has {", ".join(found)}')
