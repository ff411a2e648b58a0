from mmdet.models.task_modules.assigners import AssignResult, MaxIoUAssigner
from torch import Tensor

from mmcovid.registry import TASK_UTILS


@TASK_UTILS.register_module()
class OwnBestMaxIoUAssigner(MaxIoUAssigner):
    """Assigner that gives each box the object which that box overlaps most.

    An anchor below the threshold that is kept as an object's best is regressed by MMDetection to
    that object, and by the author's release to the one that the anchor itself overlaps most.
    Which anchors are positive is the same.
    """

    def assign_wrt_overlaps(self, overlaps: Tensor, gt_labels: Tensor) -> AssignResult:
        """Assign by the overlaps (G, n) of objects and boxes; see the parent."""
        result = super().assign_wrt_overlaps(overlaps, gt_labels)
        positive = result.gt_inds > 0
        if positive.any():
            best = overlaps[:, positive].argmax(dim=0)
            result.gt_inds[positive] = best + 1
            result.labels[positive] = gt_labels[best]
        return result
