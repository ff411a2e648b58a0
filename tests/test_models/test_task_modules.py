import math

import torch
from mmdet.registry import TASK_UTILS


def test_base_anchors_are_whole_pixels():
    options = dict(base_sizes=[2], scales=[1, 2], ratios=[0.25, 1.0], strides=[32])
    rounded = TASK_UTILS.build(dict(type='mmcovid.RoundedAnchorGenerator', **options))
    stock = TASK_UTILS.build(dict(type='AnchorGenerator', **options))
    assert stock.base_anchors[0][0].tolist() == [-2, -0.5, 2, 0.5]
    assert rounded.base_anchors[0].tolist() == [
        [-2, 0, 2, 0],  # a half goes to the even neighbour: no height
        [-4, -1, 4, 1], [-1, -1, 1, 1], [-2, -2, 2, 2]
    ]


def test_boxes_shrink_without_a_limit():
    options = dict(target_stds=[0.1, 0.1, 0.2, 0.2])
    limited = TASK_UTILS.build(dict(type='mmcovid.GrowthLimitedBBoxCoder', **options))
    stock = TASK_UTILS.build(dict(type='DeltaXYWHBBoxCoder', **options))
    boxes = torch.tensor([[0., 0, 100, 100]]).repeat(3, 1)
    # of two classes each: moderate, growing, shrinking
    deltas = torch.tensor([[1., -1, 2, -2] * 2, [50, 0, 100, 100] * 2, [0, 0, -30, -30] * 2])
    found, expected = limited.decode(boxes, deltas), stock.decode(boxes, deltas)
    torch.testing.assert_close(found[:2], expected[:2])
    size = found[2].view(2, 4)[:, 2:] - found[2].view(2, 4)[:, :2]
    torch.testing.assert_close(size, torch.full((2, 2), 100 * math.exp(-6)), atol=1e-4, rtol=0)
    assert (expected[2, 2] - expected[2, 0]).item() > 1
