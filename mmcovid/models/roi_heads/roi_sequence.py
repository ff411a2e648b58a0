import torch
from mmcv.ops import batched_nms
from mmengine.structures import InstanceData
from torch import Tensor

ORDERS = ('distance', 'score', 'random')


def select_roi_sequence(
    bboxes: Tensor,
    scores: Tensor,
    img_shape: tuple[int, int],
    num_rois: int = 16,
    iou_threshold: float = 0.25,
    min_area: float = 1e-5,
    order: str = 'distance',
    generator: torch.Generator | None = None,
) -> InstanceData:
    """Select the sequence of Regions of Interest that a slice is classified from.

    The β best boxes by score after class-wise NMS, without a score threshold,
    in the order asked for. With fewer boxes than β they are repeated, best
    first, until there are β; with none, the whole slice is the only RoI.

    Args:
        bboxes (Tensor): Decoded and clipped boxes (n, K, 4), one for each of
            the K lesion classes, as (x1, y1, x2, y2) in pixels.
        scores (Tensor): Their scores (n, K), without the background's.
        img_shape (tuple[int, int]): Height and width of the slice in pixels.
        num_rois (int): Length of the sequence, β. Defaults to 16.
        iou_threshold (float): Threshold of the NMS. Defaults to 0.25.
        min_area (float): Boxes of this area in pixels or less are left out.
            Defaults to 1e-5.
        order (str): ``'distance'``, by the Euclidean distance of the box's top
            left corner from the image origin, nearest first (Sec. III-A);
            ``'score'``, best first; ``'random'``. Defaults to ``'distance'``.
        generator (torch.Generator, optional): Source of the random order.

    Returns:
        :obj:`InstanceData`: ``bboxes`` (β, 4), ``scores`` (β,) and ``labels``
        (β,) of the sequence.
    """
    num_classes = scores.size(1)
    bboxes, scores = bboxes.reshape(-1, 4).float(), scores.flatten().float()
    labels = torch.arange(num_classes, device=scores.device).repeat(len(scores) // num_classes)

    sizes = bboxes[:, 2:] - bboxes[:, :2]
    keep = sizes.prod(dim=1) > min_area
    bboxes, scores, labels = bboxes[keep], scores[keep], labels[keep]
    if len(bboxes) == 0:
        height, width = img_shape[:2]
        bboxes = bboxes.new_tensor([[0, 0, width, height]])
        scores, labels = scores.new_zeros(1), labels.new_zeros(1)

    dets, keep = batched_nms(bboxes, scores, labels, dict(type='nms', iou_threshold=iou_threshold))
    bboxes, scores, labels = dets[:, :4], dets[:, 4], labels[keep]

    picked = torch.arange(num_rois, device=bboxes.device) % min(num_rois, len(bboxes))
    if order == 'distance':
        distance = bboxes[picked, :2].norm(dim=1)
        picked = picked[distance.argsort(stable=True)]
    elif order == 'random':
        picked = picked[torch.randperm(num_rois, generator=generator).to(picked.device)]
    return InstanceData(bboxes=bboxes[picked], scores=scores[picked], labels=labels[picked])
