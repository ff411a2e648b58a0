import torch
from mmcv.ops import roi_align
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from mmdet.models.task_modules.samplers import SamplingResult
from mmdet.structures.mask import BitmapMasks, PolygonMasks
from mmdet.utils import ConfigType, InstanceList
from torch import Tensor
from torch.nn.modules.utils import _pair

from mmcovid.models.layers import kaiming_weights
from mmcovid.registry import MODELS


@MODELS.register_module()
class OneShotMaskHead(FCNMaskHead):
    """Mask head with the targets and the initial weights of the author's release.

    A target is the true mask averaged over the bins of the box, a number between 0 and 1.
    MMDetection's are shifted by half a pixel, and cut at 0.5 unless asked for otherwise.
    """

    def init_weights(self) -> None:
        """Initialise the weights; biases keep PyTorch's values."""
        kaiming_weights(self)

    def get_targets(
        self,
        sampling_results: list[SamplingResult],
        batch_gt_instances: InstanceList,
        rcnn_train_cfg: ConfigType,
    ) -> Tensor:
        """Mask targets (n, mask_size, mask_size) of the positive boxes; see the parent."""
        size = _pair(rcnn_train_cfg.mask_size)
        return torch.cat(
            [
                crop_masks(gt.masks, result.pos_priors, result.pos_assigned_gt_inds, size)
                for result, gt in zip(sampling_results, batch_gt_instances)
            ]
        )

    def _predict_by_feat_single(
        self, mask_preds: Tensor, bboxes: Tensor, *args, **kwargs
    ) -> Tensor:
        """Masks (n, H, W) of a slice; see the parent. A box of no extent has none.

        MMDetection would draw it across the whole slice on CUDA, over a few pixels on a CPU.
        """
        masks = super()._predict_by_feat_single(mask_preds, bboxes, *args, **kwargs)
        masks[(bboxes[:, 2:] <= bboxes[:, :2]).any(dim=1)] = 0
        return masks


def crop_masks(
    masks: BitmapMasks | PolygonMasks, boxes: Tensor, inds: Tensor, size: tuple[int, int]
) -> Tensor:
    """Average masks over the bins of boxes, by RoIAlign without the half-pixel shift.

    Args:
        masks (BitmapMasks | PolygonMasks): True masks (G, H, W) of a slice.
        boxes (Tensor): Boxes (n, 4) as (x1, y1, x2, y2) in pixels.
        inds (Tensor): Which mask to crop by each box, (n,), in 0..G-1.
        size (tuple[int, int]): Height and width of the result.

    Returns:
        Tensor: (n, *size), values in 0..1.
    """
    if len(boxes) == 0:
        return boxes.new_zeros(0, *size)
    # decoded masks come column by column, which the operator would take for rows
    bitmaps = masks.to_tensor(boxes.dtype, boxes.device).contiguous()
    rois = torch.cat([inds[:, None].to(boxes), boxes], dim=1)
    return roi_align(bitmaps[:, None], rois, size, 1.0, 0, 'avg', False).squeeze(1)
