from math import log

from mmdet.models.task_modules.coders import DeltaXYWHBBoxCoder
from torch import Tensor

from mmcovid.registry import TASK_UTILS

_NO_LIMIT = 1e-30


@TASK_UTILS.register_module()
class GrowthLimitedBBoxCoder(DeltaXYWHBBoxCoder):
    """Box coder that limits how much a box grows but not how much it shrinks.

    MMDetection limits both to the same factor, the author's release only the
    growth, to 1000 / 16.
    """

    def decode(
        self, bboxes: Tensor, pred_bboxes: Tensor, *args, wh_ratio_clip: float = 16 / 1000, **kwargs
    ) -> Tensor:
        """Boxes (n, K · 4) from boxes (n, 4) and deltas (n, K · 4); see the parent."""
        deltas = pred_bboxes.unflatten(-1, (-1, 4))
        limit = deltas.new_tensor(self.stds).reciprocal() * -log(wh_ratio_clip)
        limit[:2] = float('inf')  # the centre moves freely
        deltas = deltas.minimum(limit).flatten(-2)
        return super().decode(bboxes, deltas, *args, wh_ratio_clip=_NO_LIMIT, **kwargs)
