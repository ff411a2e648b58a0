"""The forward passes of the baselines on one slice, with shapes that never change."""

import torch
from torch import Tensor

from .exported_mask_rcnn import ExportedMaskRCNN, nms_of_groups
from .exported_model import ExportedModel, image_results


class ExportedCovidCTMaskNet(ExportedMaskRCNN):
    """What a :obj:`CovidCTMaskNet` finds in one slice, and the class of the slice."""

    def _classify(
        self, x: tuple[Tensor, ...], proposals: Tensor, count: Tensor
    ) -> dict[str, Tensor]:
        """Image-level results, as :meth:`RankingRoIHead.rank_rois` leads to them."""
        head, image_head = self.model.roi_head, self.model.image_head
        ranking = head.roi_ranking
        boxes, scores, labels, deltas = self._decoded(x, proposals, count, head.bbox_head)
        kept, found = nms_of_groups(
            boxes, scores, labels, ranking['iou_threshold'], ranking['num_rois']
        )
        ranked = torch.cat([scores[:, None], deltas], dim=1)[kept]
        empty = torch.arange(ranking['num_rois']) >= found
        ranked = ranked.masked_fill(empty[:, None], 0)
        return image_results(image_head.embed(ranked[None]), image_head)


class ExportedClassifier(ExportedModel):
    """The class that a :obj:`SliceClassifier` gives one slice."""

    def forward(self, slices: Tensor) -> dict[str, Tensor]:
        """Classify a slice.

        Args:
            slices (Tensor): Grey values as they are stored, (1, H, W).

        Returns:
            dict[str, Tensor]: ``logits`` (K,), ``class_scores`` (K,) and ``image_vector`` (D,).
        """
        head, feats = self.model.image_head, self.model.extract_feat(self._images(slices))
        return {**image_results(head.embed(feats), head), **self._distance(feats)}
