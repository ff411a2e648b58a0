"""The forward pass of a detector on one slice, with shapes that never change.

Where the detector has as many proposals or detections as there are, this has all places that there
could be, and a count.
"""

import torch
import torch.nn.functional as F
from mmdet.models.detectors import TwoStageDetector
from mmdet.models.roi_heads.bbox_heads import BBoxHead
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
from torch import Tensor

from mmcovid.models.dense_heads import LogitRankedRPNHead

from .exported_model import ExportedModel
from .operators import EXCLUDED, align_rois, select_boxes


class ExportedMaskRCNN(ExportedModel):
    """The lesions that a :obj:`MaskRCNN` finds in one slice.

    Subclasses are of detectors that also classify the slice.
    """

    def __init__(self, model: TwoStageDetector, input_size: tuple[int, int]) -> None:
        super().__init__(model, input_size)
        height, width = input_size
        with torch.no_grad():
            features = model.extract_feat(self._images(torch.zeros(1, height, width)))
        sizes = [x.shape[-2:] for x in features]
        self.anchors = model.rpn_head.prior_generator.grid_priors(sizes, device='cpu')
        self.register_buffer('limits', torch.tensor([width, height] * 2, dtype=torch.float))

    @staticmethod
    def reasons_against(model: TwoStageDetector) -> dict[str, bool]:
        """See the parent."""
        rpn, rcnn = model.rpn_head, model.roi_head
        return {
            **ExportedModel.reasons_against(model),
            'NMS of another type than nms': any(
                cfg.nms.get('type', 'nms') != 'nms' or set(cfg.nms) > {'type', 'iou_threshold'}
                for cfg in (rpn.test_cfg, rcnn.test_cfg)
            ),
            'no limit of boxes (max_per_img)': min(
                rpn.test_cfg.max_per_img, rcnn.test_cfg.max_per_img
            )
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

    def forward(self, slices: Tensor, score_thr: Tensor | None = None) -> dict[str, Tensor]:
        """Segment the lesions of a slice, and classify it if the detector does.

        Args:
            slices (Tensor): Grey values as they are stored, (1, H, W).
            score_thr (Tensor, optional): Lesions of this score or less are left out, (1,).
                Defaults to None: no lesion is looked for, the slice is only classified.

        Returns:
            dict[str, Tensor]: By the names of :data:`mmcovid.deployment.metadata.LESION_OUTPUTS`
            and :data:`mmcovid.deployment.metadata.IMAGE_OUTPUTS`.
        """
        x = self.model.extract_feat(self._images(slices))
        proposals, count = self._proposals(x)
        lesions = {} if score_thr is None else self._detect(x, proposals, count, score_thr)
        return {**lesions, **self._classify(x, proposals, count), **self._distance(x)}

    def _classify(
        self, x: tuple[Tensor, ...], proposals: Tensor, count: Tensor
    ) -> dict[str, Tensor]:
        """Image-level results; a Mask R-CNN has none."""
        return {}

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
        kept, count = nms_of_groups(
            boxes, scores, levels, cfg.nms['iou_threshold'], cfg.max_per_img
        )
        return boxes[kept], count

    def _detect(
        self, x: tuple[Tensor, ...], proposals: Tensor, count: Tensor, score_thr: Tensor
    ) -> dict[str, Tensor]:
        """Boxes (D, 4), labels (D,), scores (D,) and masks (D, 28, 28) of lesions, and their
        number (1,)."""
        head = self.model.roi_head
        cfg = head.test_cfg
        boxes, scores, labels, _ = self._decoded(x, proposals, count, head.bbox_head)
        least = score_thr.clamp(min=cfg.score_thr)
        kept, found = nms_of_groups(
            boxes, scores, labels, cfg.nms['iou_threshold'], cfg.max_per_img, least
        )
        boxes, scores, labels = boxes[kept], scores[kept], labels[kept]
        masks = self._masks(x, boxes, labels, found)
        empty = torch.arange(cfg.max_per_img) >= found
        return dict(
            boxes=boxes.masked_fill(empty[:, None], 0),
            labels=labels.masked_fill(empty, -1),
            scores=scores.masked_fill(empty, 0),
            masks=masks.masked_fill(empty[:, None, None], 0),
            num_detections=found,
        )

    def _masks(self, x: tuple[Tensor, ...], boxes: Tensor, labels: Tensor, found: Tensor) -> Tensor:
        """Masks (D, 28, 28) of boxes (D, 4), computed of the first ones that were found only.

        The mask head is half of all computation if all places are filled.
        """
        head = self.model.roi_head
        number = found.clamp(min=1).item()  # convolutions of nothing are not exported
        torch._check(number <= len(boxes))
        logits = mask_logits(head.mask_head, align(head.mask_roi_extractor, x, boxes[:number]))
        own = labels[:number, None, None, None].expand(-1, 1, *logits.shape[2:])
        masks = logits.gather(1, own).squeeze(1).sigmoid()
        return torch.cat([masks, masks.new_zeros(len(boxes), *masks.shape[1:])])[: len(boxes)]

    def _decoded(
        self, x: tuple[Tensor, ...], proposals: Tensor, count: Tensor, bbox_head: BBoxHead
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Boxes (P · K, 4), scores and labels (P · K,) of all classes of all proposals, and what
        the box regression gives, (P · K, 4).

        Scores of places that are not filled are :data:`EXCLUDED`.
        """
        feats = align(self.model.roi_head.bbox_roi_extractor, x, proposals)
        logits, deltas = bbox_head(feats)
        number = bbox_head.num_classes
        deltas = deltas.view(-1, 4)
        boxes = bbox_head.bbox_coder.decode(proposals.repeat_interleave(number, dim=0), deltas)
        empty = torch.arange(len(proposals)) >= count
        scores = logits.softmax(dim=1)[:, :number].masked_fill(empty[:, None], EXCLUDED)
        labels = torch.arange(number).repeat(len(proposals))
        return self._clip(boxes), scores.flatten(), labels, deltas

    def _clip(self, boxes: Tensor) -> Tensor:
        """Boxes (n, 4) within the slice."""
        return boxes.clamp(min=0).minimum(self.limits)


def nms_of_groups(
    boxes: Tensor,
    scores: Tensor,
    groups: Tensor,
    iou_threshold: float,
    number: int,
    score_threshold: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """NMS within each group, by default of all scores; see :func:`select_boxes`.

    As in MMCV, groups are moved apart by the largest coordinate of the boxes that count.
    """
    if score_threshold is None:
        score_threshold = scores.new_tensor([torch.finfo(scores.dtype).min])
    counts = scores > score_threshold
    apart = boxes.masked_fill(~counts[:, None], 0).max() + 1
    moved = boxes + (groups * apart)[:, None]
    return select_boxes(moved, scores, score_threshold, iou_threshold, number)


def align(extractor: SingleRoIExtractor, x: tuple[Tensor, ...], boxes: Tensor) -> Tensor:
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
    rois = torch.cat([boxes.new_zeros(boxes.size(0), 1), boxes], dim=1)
    levels = extractor.map_roi_levels(rois, len(aligned))[:, None, None, None]
    return sum(torch.where(levels == i, feats, 0) for i, feats in enumerate(aligned))


def mask_logits(head: FCNMaskHead, x: Tensor) -> Tensor:
    """What a mask head gives, without the transposed convolution, which engines are slow at.

    Its pixels do not overlap, so it is a 1×1 convolution that gives the s² pixels of an RoI pixel
    as channels; the logits of each of these are a 1×1 convolution of its own channels.

    Args:
        head (FCNMaskHead): The head.
        x (Tensor): RoI features (n, C, h, w).

    Returns:
        Tensor: Logits of all classes, (n, K, s · h, s · w).
    """
    if head.upsample_method != 'deconv':
        return head(x)
    for layer in head.convs:
        x = layer(x)
    deconv, conv, scale = head.upsample, head.conv_logits, head.scale_factor
    kernel = deconv.weight.permute(2, 3, 1, 0).flatten(0, 2)
    x = F.conv2d(x, kernel[:, :, None, None], deconv.bias.repeat(scale**2)).relu()
    # without the background, which ConvWithBackground has behind the classes
    weight, bias = conv.weight[: head.num_classes], conv.bias[: head.num_classes]
    kernel = torch.block_diag(*[weight.flatten(1)] * scale**2)
    x = F.conv2d(x, kernel[:, :, None, None], bias.repeat(scale**2))
    pixels = x.unflatten(1, (scale, scale, -1)).permute(0, 3, 4, 1, 5, 2)  # (n, K, h, s, w, s)
    return pixels.flatten(4).flatten(2, 3)
