import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures.mask import BitmapMasks, PolygonMasks
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData

from mmcovid.models.roi_heads.one_shot_mask_head import crop_masks


@pytest.fixture
def masks():
    """Left half of a slice of 8×8, and its upper quarter."""
    bitmaps = np.zeros((2, 8, 8), np.uint8)
    bitmaps[0, :, :4] = 1
    bitmaps[1, :2] = 1
    return BitmapMasks(bitmaps, 8, 8)


def test_targets_are_soft_and_not_shifted(masks):
    """Pixels stand at whole numbers: between 3 and 4 the left half ends."""
    boxes = torch.tensor([[0.0, 0, 8, 4], [0, 0, 4, 1], [3, 0, 4, 1]])
    targets = crop_masks(masks, boxes, torch.tensor([0, 1, 0]), (1, 2))
    # of four samples a pixel apart, at 0.5 to 3.5, the last one is half outside
    assert targets[0].tolist() == [[0.875, 0]]
    assert targets[1].tolist() == [[1, 1]]
    assert targets[2].tolist() == [[0.75, 0.25]]


def test_a_box_of_no_extent_has_no_mask():
    head = MODELS.build(dict(type='mmcovid.OneShotMaskHead', num_convs=0, num_classes=1))
    boxes = torch.tensor([[2.0, 3, 10, 12], [5, 3, 5, 20], [4, 7, 20, 7]])
    (result,) = head.predict_by_feat(
        (torch.full((3, 1, 28, 28), 5.0),),  # all of each box
        [InstanceData(bboxes=boxes, labels=torch.zeros(3, dtype=torch.long))],
        [dict(ori_shape=(30, 40), scale_factor=(1.0, 1.0))],
        ConfigDict(mask_thr_binary=0.5),
    )
    assert result.masks.sum(dim=(1, 2)).tolist() == [72, 0, 0]


def test_targets_of_a_batch(masks):
    head = MODELS.build(
        dict(
            type='mmcovid.OneShotMaskHead',
            num_convs=1,
            in_channels=4,
            conv_out_channels=4,
            num_classes=3,
        )
    )
    found = [
        InstanceData(
            pos_priors=torch.tensor(boxes).view(-1, 4),
            pos_assigned_gt_inds=torch.tensor(inds, dtype=torch.long),
        )
        for boxes, inds in (([[0.0, 0, 8, 8], [0, 0, 4, 4]], [1, 0]), ([], []))
    ]
    empty = InstanceData(masks=BitmapMasks(np.zeros((0, 8, 8), np.uint8), 8, 8))
    targets = head.get_targets(found, [InstanceData(masks=masks), empty], ConfigDict(mask_size=4))
    assert targets.shape == (2, 4, 4)
    torch.testing.assert_close(targets[1, :, :3], torch.ones(4, 3))
    torch.testing.assert_close(targets[1, :, 3], torch.full((4,), 0.5))


def test_polygons_are_masks_too():
    polygons = PolygonMasks([[np.array([0.0, 0, 4, 0, 4, 8, 0, 8])]], 8, 8)
    target = crop_masks(polygons, torch.tensor([[0.0, 0, 3, 7]]), torch.tensor([0]), (2, 2))
    torch.testing.assert_close(target, torch.ones(1, 2, 2))


def test_initial_biases_are_those_of_pytorch():
    head = MODELS.build(
        dict(
            type='mmcovid.OneShotMaskHead',
            num_convs=1,
            in_channels=4,
            conv_out_channels=64,
            num_classes=3,
        )
    )
    before = {name: value.clone() for name, value in head.state_dict().items()}
    head.init_weights()
    for name, value in head.state_dict().items():
        assert value.unique().numel() > 1  # MMDetection sets biases to 0
        assert not torch.equal(value, before[name])
    std = head.upsample.weight.std().item()  # fan-out of 64 channels × 2 × 2
    assert std == pytest.approx((2 / 256) ** 0.5, rel=0.1)
