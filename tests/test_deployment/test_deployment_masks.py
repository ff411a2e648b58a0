import numpy as np
import pytest
import torch
from mmdet.models.roi_heads.mask_heads.fcn_mask_head import _do_paste_mask

from mmcovid.deployment.masks import paste_mask


def pasted_by_mmdet(mask, box, shape):
    masks, (rows, columns) = _do_paste_mask(
        torch.from_numpy(mask)[None, None], torch.from_numpy(box)[None], *shape
    )
    whole = np.zeros(shape, bool)
    whole[rows, columns] = masks[0].numpy() >= 0.5
    return whole


def test_as_mmdetection():
    rng = np.random.default_rng(0)
    for _ in range(50):
        shape = tuple(rng.integers(20, 90, 2).tolist())
        mask = rng.random((28, 28), np.float32)
        ends = np.sort(rng.random((2, 2), np.float32) * shape[::-1], axis=0)
        box = ends.ravel().astype(np.float32)
        wanted = pasted_by_mmdet(mask, box, shape)
        differ = (paste_mask(mask, box, shape, 0.5) != wanted).sum()
        assert differ <= 0.001 * max(wanted.sum(), 1)


@pytest.mark.parametrize('box', [[10.25, 3, 10.25, 20], [4, 7.5, 20, 7.5]])
def test_a_box_of_no_extent_has_no_mask(box):
    mask = np.full((28, 28), 0.9, np.float32)
    assert not paste_mask(mask, np.array(box, np.float32), (30, 40), 0.5).any()


@pytest.mark.parametrize('box', [[0, 0, 40, 30], [39.9, 29.9, 40, 30]])
def test_boxes_at_the_border(box):
    box = np.array(box, np.float32)
    mask = np.full((28, 28), 0.9, np.float32)
    wanted = pasted_by_mmdet(mask, box, (30, 40))
    assert (paste_mask(mask, box, (30, 40), 0.5) == wanted).all()
