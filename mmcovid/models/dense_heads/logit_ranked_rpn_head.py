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
        return super().predict_by_feat(list(map(_logits_of_ranks, cls_scores)), *args, **kwargs)


def _logits_of_ranks(logits: Tensor) -> Tensor:
    """Logits (B, A, H, W) in the same order, whose sigmoids are spread over 0 to 1 evenly."""
    flat = logits.flatten(1)
    ranks = flat.argsort(stable=True).argsort()
    return ((ranks + 1) / (flat.size(1) + 1)).logit().view_as(logits)
