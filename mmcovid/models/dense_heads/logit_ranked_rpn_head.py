import torch
from mmdet.models.dense_heads import RPNHead
from mmdet.utils import InstanceList
from torch import Tensor

from mmcovid.registry import MODELS


@MODELS.register_module()
class LogitRankedRPNHead(RPNHead):
    """RPN head that ranks proposals by their logits, as the author's release does.

    MMDetection ranks them by the sigmoids, in which the order of the surest
    is lost: in float32 those of different logits near 15 are equal.
    """

    def predict_by_feat(self, cls_scores: list[Tensor], *args, **kwargs) -> InstanceList:
        """Proposals of each image, whose scores tell their rank only."""
        return super().predict_by_feat(_logits_of_ranks(cls_scores), *args, **kwargs)


def _logits_of_ranks(logits: list[Tensor]) -> list[Tensor]:
    """Logits of all levels, (B, A, H, W) each, in the same order from the lowest to the highest of
    an image, whose sigmoids are spread over 0 to 1 evenly."""
    flat = torch.cat([level.flatten(1) for level in logits], dim=1)
    ranks = flat.argsort(stable=True).argsort()
    spread = ((ranks + 1) / (flat.size(1) + 1)).logit()
    parts = spread.split([level[0].numel() for level in logits], dim=1)
    return [part.view_as(level) for part, level in zip(parts, logits)]
