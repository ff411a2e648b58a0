from typing import Any

import torch
from mmdet.models.layers import multiclass_nms
from mmdet.models.roi_heads import StandardRoIHead
from mmdet.structures import SampleList
from mmdet.structures.bbox import bbox2roi
from mmdet.utils import ConfigType, InstanceList
from torch import Tensor
from torch.nn.functional import pad

from mmcovid.registry import MODELS


@MODELS.register_module()
class RankingRoIHead(StandardRoIHead):
    """RoI head that also gives a fixed number of RoIs of a slice, ranked by score.

    Args:
        roi_ranking (dict): ``num_rois``, the number of RoIs of a slice, and
            ``iou_threshold`` of the class-wise NMS before they are counted.
            Defaults to 256 and 0.75.
        **kwargs: Arguments of :class:`StandardRoIHead`.
    """

    def __init__(self, roi_ranking: ConfigType | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        self.roi_ranking: dict[str, Any] = dict(num_rois=256, iou_threshold=0.75) | dict(
            roi_ranking or {}
        )

    @property
    def num_rois(self) -> int:
        """int: Number of ranked RoIs of a slice."""
        return self.roi_ranking['num_rois']

    def rank_rois(
        self, x: tuple[Tensor], rpn_results_list: InstanceList, batch_data_samples: SampleList
    ) -> Tensor:
        """Scores and box-regression outputs of the ranked RoIs of every slice.

        A RoI is a proposal taken for one lesion class. After class-wise NMS of
        the decoded boxes, without a score threshold, the best by score are
        taken. If there are fewer, zeros fill the places of the others: score
        0 and no offset.

        Args:
            x (tuple[Tensor]): Feature maps, each (B, C, h, w).
            rpn_results_list (list[:obj:`InstanceData`]): Region proposals of
                each slice.
            batch_data_samples (list[:obj:`DetDataSample`]): Samples of the
                slices.

        Returns:
            Tensor: (B, num_rois, 5), the best RoI first, each as its score and
            the 4 outputs of the box regression for its class, not decoded.
        """
        proposals = [results.bboxes for results in rpn_results_list]
        counts = [len(boxes) for boxes in proposals]
        rois = bbox2roi(proposals)
        roi_feats = self.bbox_roi_extractor(x[: self.bbox_roi_extractor.num_inputs], rois)
        cls_scores, bbox_preds = self.bbox_head(roi_feats)
        cls_scores, bbox_preds = cls_scores.split(counts), bbox_preds.split(counts)
        # without a test config the head decodes and clips all boxes of all classes
        with torch.no_grad():
            decoded = self.bbox_head.predict_by_feat(
                rois.split(counts),
                cls_scores,
                bbox_preds,
                [sample.metainfo for sample in batch_data_samples],
                rcnn_test_cfg=None,
            )
        return torch.stack(
            [
                self._rank(results.bboxes, scores.softmax(dim=1), deltas)
                for results, scores, deltas in zip(decoded, cls_scores, bbox_preds)
            ]
        )

    def _rank(self, bboxes: Tensor, scores: Tensor, deltas: Tensor) -> Tensor:
        """Ranked RoIs (num_rois, 5) of a slice with n proposals and K classes.

        Decoded boxes are (n, K · 4), scores (n, K + 1), the background's last, and box-regression
        outputs (n, K · 4).
        """
        nms = dict(type='nms', iou_threshold=self.roi_ranking['iou_threshold'])
        *_, kept = multiclass_nms(
            bboxes, scores.detach(), -1, nms, max_num=self.num_rois, return_inds=True
        )
        ranked = torch.cat([scores[:, :-1].reshape(-1, 1), deltas.reshape(-1, 4)], dim=1)[kept]
        return pad(ranked, (0, 0, 0, self.num_rois - len(ranked)))
