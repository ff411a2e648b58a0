import math

import torch
from mmdet.registry import TASK_UTILS
from mmengine.structures import InstanceData


def test_base_anchors_are_whole_pixels():
    options = dict(base_sizes=[2], scales=[1, 2], ratios=[0.25, 1.0], strides=[32])
    rounded = TASK_UTILS.build(dict(type='mmcovid.RoundedAnchorGenerator', **options))
    stock = TASK_UTILS.build(dict(type='AnchorGenerator', **options))
    assert stock.base_anchors[0][0].tolist() == [-2, -0.5, 2, 0.5]
    assert rounded.base_anchors[0].tolist() == [
        [-2, 0, 2, 0],  # a half goes to the even neighbour: no height
        [-4, -1, 4, 1],
        [-1, -1, 1, 1],
        [-2, -2, 2, 2],
    ]


def test_boxes_shrink_without_a_limit():
    options = dict(target_stds=[0.1, 0.1, 0.2, 0.2])
    limited = TASK_UTILS.build(dict(type='mmcovid.GrowthLimitedBBoxCoder', **options))
    stock = TASK_UTILS.build(dict(type='DeltaXYWHBBoxCoder', **options))
    boxes = torch.tensor([[0.0, 0, 100, 100]]).repeat(3, 1)
    # of two classes each: moderate, growing, shrinking
    deltas = torch.tensor([[1.0, -1, 2, -2] * 2, [50, 0, 100, 100] * 2, [0, 0, -30, -30] * 2])
    found, expected = limited.decode(boxes, deltas), stock.decode(boxes, deltas)
    torch.testing.assert_close(found[:2], expected[:2])
    size = found[2].view(2, 4)[:, 2:] - found[2].view(2, 4)[:, :2]
    torch.testing.assert_close(size, torch.full((2, 2), 100 * math.exp(-6)), atol=1e-4, rtol=0)
    assert (expected[2, 2] - expected[2, 0]).item() > 1


def test_anchor_is_assigned_to_the_object_that_it_overlaps_most():
    """The best anchor of a large object lies within it, and on a small one."""
    options = dict(pos_iou_thr=0.7, neg_iou_thr=0.3, min_pos_iou=1e-6)
    large, small = [0.0, 0, 100, 100], [10.0, 10, 22, 22]
    truth = InstanceData(bboxes=torch.tensor([large, small]), labels=torch.tensor([0, 1]))
    anchors = InstanceData(
        priors=torch.tensor(
            [[10.0, 10, 30, 30], [60, 60, 80, 80], [9.0, 9, 23, 23], [200, 200, 220, 220]]
        )
    )
    own, stock = (
        TASK_UTILS.build(dict(type=name, **options)).assign(anchors, truth)
        for name in ('mmcovid.OwnBestMaxIoUAssigner', 'MaxIoUAssigner')
    )
    assert stock.gt_inds.tolist() == [1, 1, 2, 0]
    assert own.gt_inds.tolist() == [2, 1, 2, 0]
    assert own.labels.tolist() == [1, 0, 1, -1]


def test_assigner_without_objects():
    assigner = TASK_UTILS.build(
        dict(type='mmcovid.OwnBestMaxIoUAssigner', pos_iou_thr=0.7, neg_iou_thr=0.3)
    )
    nothing = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long))
    result = assigner.assign(InstanceData(priors=torch.rand(3, 4)), nothing)
    assert result.gt_inds.tolist() == [0, 0, 0]
