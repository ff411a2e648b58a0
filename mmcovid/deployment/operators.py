"""NMS and RoIAlign as operators that the exporter knows: MMCV's in PyTorch, ONNX's own in a file.

Both give results of fixed sizes, so that all shapes of an exported graph are fixed.
"""

import torch
from mmcv.ops import nms, roi_align
from onnx import TensorProto, helper
from onnxscript import opset18 as op
from torch import Tensor

_ZERO = helper.make_tensor('zero', TensorProto.INT64, [1], [0])
#: Score of boxes that never count.
EXCLUDED = -float('inf')


@torch.library.custom_op('mmcovid::select_boxes', mutates_args=())
def select_boxes(
    boxes: Tensor, scores: Tensor, score_threshold: Tensor, iou_threshold: float, number: int
) -> tuple[Tensor, Tensor]:
    """Non-maximum suppression.

    Args:
        boxes (Tensor): (n, 4), x1, y1, x2, y2 in pixels.
        scores (Tensor): (n,).
        score_threshold (Tensor): Boxes of this score or less are left out, (1,).
        iou_threshold (float): So are boxes that overlap a better one more than this.
        number (int): Most boxes to select.

    Returns:
        tuple[Tensor, Tensor]: Indices (number,) of the selected boxes, best first, zeros behind
        the last one; and how many these are, (1,). Both are int64.
    """
    candidates = (scores > score_threshold).nonzero().squeeze(1)
    _, kept = nms(boxes[candidates], scores[candidates], iou_threshold)
    kept = candidates[kept[:number]]
    return torch.cat([kept, kept.new_zeros(number - len(kept))]), kept.new_tensor([len(kept)])


@select_boxes.register_fake
def _(boxes, scores, score_threshold, iou_threshold, number):
    return boxes.new_empty(number, dtype=torch.long), boxes.new_empty(1, dtype=torch.long)


def _select_boxes_in_onnx(boxes, scores, score_threshold, iou_threshold, number):
    selected = op.NonMaxSuppression(
        op.Unsqueeze(boxes, op.Constant(value_ints=[0])),
        op.Unsqueeze(scores, op.Constant(value_ints=[0, 1])),
        op.Constant(value_ints=[number]),
        op.Constant(value_floats=[iou_threshold]),
        score_threshold,
    )  # (k, 3): image, class, box
    indices = op.Gather(selected, op.Constant(value_int=2), axis=1)
    zeros = op.ConstantOfShape(
        op.Constant(value_ints=[number]),
        value=_ZERO,
    )
    padded = op.Slice(
        op.Concat(indices, zeros, axis=0),
        op.Constant(value_ints=[0]),
        op.Constant(value_ints=[number]),
        op.Constant(value_ints=[0]),
    )
    return padded, op.Shape(indices)


@torch.library.custom_op('mmcovid::align_rois', mutates_args=())
def align_rois(
    features: Tensor,
    boxes: Tensor,
    size: list[int],
    scale: float,
    sampling_ratio: int,
    aligned: bool,
) -> Tensor:
    """RoIAlign of one image, by averages.

    Args:
        features (Tensor): Feature map (1, C, h, w).
        boxes (Tensor): (n, 4), x1, y1, x2, y2 in pixels of the image.
        size (list[int]): Height and width of the result.
        scale (float): Pixels of the feature map in one of the image.
        sampling_ratio (int): Samples of a bin in each direction; 0: by its size.
        aligned (bool): Whether boxes are shifted by half a pixel.

    Returns:
        Tensor: (n, C, *size).
    """
    rois = torch.cat([boxes.new_zeros(len(boxes), 1), boxes], dim=1)
    return roi_align(features, rois, tuple(size), scale, sampling_ratio, 'avg', aligned)


@align_rois.register_fake
def _(features, boxes, size, scale, sampling_ratio, aligned):
    return features.new_empty(boxes.size(0), features.size(1), *size)


def _align_rois_in_onnx(features, boxes, size, scale, sampling_ratio, aligned):
    images = op.ConstantOfShape(
        op.Shape(boxes, start=0, end=1),
        value=_ZERO,
    )
    return op.RoiAlign(
        features,
        boxes,
        images,
        coordinate_transformation_mode='half_pixel' if aligned else 'output_half_pixel',
        mode='avg',
        output_height=size[0],
        output_width=size[1],
        sampling_ratio=sampling_ratio,
        spatial_scale=scale,
    )


#: For ``torch.onnx.export``.
TRANSLATIONS = {
    torch.ops.mmcovid.select_boxes.default: _select_boxes_in_onnx,
    torch.ops.mmcovid.align_rois.default: _align_rois_in_onnx,
}
