from mmdet.models.task_modules.prior_generators import AnchorGenerator
from torch import Tensor

from mmcovid.registry import TASK_UTILS


@TASK_UTILS.register_module()
class RoundedAnchorGenerator(AnchorGenerator):
    """Anchors whose base anchors are rounded to whole pixels, as the author's release has them.

    Halves go to the even neighbour, so that the thinnest anchors have no
    width or no height.
    """

    def gen_single_level_base_anchors(self, *args, **kwargs) -> Tensor:
        """Rounded base anchors (A, 4) of a level, as (x1, y1, x2, y2) in pixels."""
        return super().gen_single_level_base_anchors(*args, **kwargs).round()
