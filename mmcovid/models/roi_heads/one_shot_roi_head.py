from typing import Any

import torch
from mmdet.models.roi_heads import StandardRoIHead
from mmdet.structures import SampleList
from mmdet.structures.bbox import bbox2roi
from mmdet.utils import ConfigType, InstanceList
from torch import Tensor

from mmcovid.models.layers import set_biases
from mmcovid.registry import MODELS

from .classification_branch import ClassificationBranch
from .roi_sequence import ORDERS, select_roi_sequence


@MODELS.register_module()
class OneShotRoIHead(StandardRoIHead):
    """RoI head with a segmentation branch and its frozen copy for classification.

    The segmentation branch is MMDetection's standard RoI head. The
    classification branch gives, for every slice, the mask features of a
    sequence of β RoIs.

    Args:
        roi_sequence (dict): How the sequence is selected: ``num_rois`` (β),
            ``iou_threshold`` of the class-wise NMS, ``min_area`` in pixels and
            ``order``, one of ``'distance'``, ``'score'`` and ``'random'``; see
            :func:`select_roi_sequence`.
        **kwargs: Arguments of :class:`StandardRoIHead`.
    """

    def __init__(self, roi_sequence: ConfigType, **kwargs) -> None:
        super().__init__(**kwargs)
        self.roi_sequence: dict[str, Any] = dict(num_rois=16, order='distance') | dict(roi_sequence)
        if self.roi_sequence['order'] not in ORDERS:
            raise ValueError(
                f'roi_sequence.order must be one of {ORDERS}, got {self.roi_sequence["order"]!r}'
            )
        self.classification_branch = ClassificationBranch(self.bbox_head, self.mask_head)

    @property
    def num_rois(self) -> int:
        """int: Length of the RoI sequence, β."""
        return self.roi_sequence['num_rois']

    def init_weights(self) -> None:
        """Initialise the weights, the same in both branches but for a bias of the release."""
        super().init_weights()
        self.sync_classification_branch()
        set_biases(self.classification_branch.upsample)

    def sync_classification_branch(self) -> None:
        """Copy the segmentation branch's weights into the classification branch."""
        self.classification_branch.sync(self.bbox_head, self.mask_head)

    def _mask_forward(self, x: tuple[Tensor], rois: Tensor | None = None, **kwargs) -> dict:
        """Mask features and logits of RoIs; see the parent.

        In testing, as many RoIs at a time as one slice has: feature maps of the thousand RoIs
        of a batch outgrow the caches and cost more per slice than those of a single one.
        """
        if self.training or rois is None:
            return super()._mask_forward(x, rois, **kwargs)
        chunks = rois.split(self.test_cfg.max_per_img)
        logits = [super(OneShotRoIHead, self)._mask_forward(x, c)['mask_preds'] for c in chunks]
        return dict(mask_preds=torch.cat(logits))

    def extract_roi_sequence(
        self, x: tuple[Tensor], rpn_results_list: InstanceList, batch_data_samples: SampleList
    ) -> tuple[Tensor, InstanceList]:
        """Mask features of the RoI sequence of every slice.

        Boxes are selected without gradient; the mask features pass it on to
        ``x``, through the frozen branch.

        Args:
            x (tuple[Tensor]): Feature maps, each (B, C, h, w).
            rpn_results_list (list[:obj:`InstanceData`]): Region proposals of
                each slice.
            batch_data_samples (list[:obj:`DetDataSample`]): Samples of the
                slices.

        Returns:
            tuple[Tensor, list[:obj:`InstanceData`]]: Mask features
            (B · β, C, 28, 28), slice after slice in the order of its
            sequence, and the sequences, with ``bboxes`` (β, 4) in pixels of
            the network's input, ``scores`` (β,) and ``labels`` (β,).
        """
        sequences = self._select_sequences(
            x, rpn_results_list, [sample.metainfo for sample in batch_data_samples]
        )
        rois = bbox2roi([sequence.bboxes for sequence in sequences])
        roi_feats = self.mask_roi_extractor(x[: self.mask_roi_extractor.num_inputs], rois)
        return self.classification_branch.mask_features(roi_feats), sequences

    @torch.no_grad()
    def _select_sequences(
        self, x: tuple[Tensor], rpn_results_list: InstanceList, batch_img_metas: list[dict]
    ) -> InstanceList:
        bbox_head = self.classification_branch.bbox_head
        proposals = [results.bboxes for results in rpn_results_list]
        counts = [len(boxes) for boxes in proposals]
        rois = bbox2roi(proposals)
        roi_feats = self.bbox_roi_extractor(x[: self.bbox_roi_extractor.num_inputs], rois)
        cls_scores, bbox_preds = bbox_head(roi_feats)
        # without a test config the head decodes and clips all boxes of all classes
        results_list = bbox_head.predict_by_feat(
            rois.split(counts),
            cls_scores.split(counts),
            bbox_preds.split(counts),
            batch_img_metas,
            rcnn_test_cfg=None,
        )

        # in testing the random order is the same every time
        generator = None if self.training else torch.Generator().manual_seed(0)
        num_classes = bbox_head.num_classes
        return [
            select_roi_sequence(
                results.bboxes.view(len(results), num_classes, 4),
                results.scores[:, :num_classes],
                img_meta['img_shape'],
                generator=generator,
                **self.roi_sequence,
            )
            for results, img_meta in zip(results_list, batch_img_metas)
        ]
