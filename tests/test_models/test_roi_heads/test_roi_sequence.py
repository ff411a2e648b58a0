from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.models.task_modules.coders import DeltaXYWHBBoxCoder

from mmcovid.models.roi_heads import select_roi_sequence

DATA = Path(__file__).parents[2] / 'data'
SHAPE = (100, 100)


def test_reproduces_the_released_selection():
    vectors = {k: torch.from_numpy(v) for k, v in np.load(DATA / 'roi_selection.npz').items()}
    scores = vectors['class_logits'].softmax(dim=1)[:, 1:]  # background is first there
    deltas = vectors['box_deltas'].view(-1, 4, 4)[:, 1:]
    coder = DeltaXYWHBBoxCoder(target_stds=[0.1, 0.1, 0.2, 0.2])
    bboxes = coder.decode(
        vectors['proposals'].repeat_interleave(3, dim=0),
        deltas.reshape(-1, 4),
        max_shape=(512, 512),
    ).view(-1, 3, 4)

    by_score = select_roi_sequence(bboxes, scores, (512, 512), order='score')
    torch.testing.assert_close(by_score.bboxes, vectors['boxes_by_score'], rtol=0, atol=1e-2)
    torch.testing.assert_close(by_score.scores, vectors['scores'], rtol=0, atol=1e-5)
    assert torch.equal(by_score.labels, vectors['labels'] - 1)

    by_distance = select_roi_sequence(bboxes, scores, (512, 512), order='distance')
    expected = vectors['boxes_by_score'][vectors['order_by_distance']]
    torch.testing.assert_close(by_distance.bboxes, expected, rtol=0, atol=1e-2)


def _boxes(*corners, size=8):
    corners = torch.tensor(corners, dtype=torch.float)
    return torch.cat([corners, corners + size], dim=1).view(-1, 1, 4)


def test_orders():
    bboxes = _boxes((60, 0), (0, 10), (30, 30))
    scores = torch.tensor([[0.5], [0.2], [0.9]])

    def x1(order, **kwargs):
        sequence = select_roi_sequence(bboxes, scores, SHAPE, num_rois=3, order=order, **kwargs)
        return sequence.bboxes[:, 0].tolist()

    assert x1('score') == [30, 60, 0]
    assert x1('distance') == [0, 30, 60]
    seeded = [x1('random', generator=torch.Generator().manual_seed(s)) for s in range(20)]
    assert x1('random', generator=torch.Generator().manual_seed(7)) == seeded[7]
    assert len({tuple(s) for s in seeded}) > 1
    assert all(sorted(s) == [0, 30, 60] for s in seeded)


def test_nms_is_class_wise():
    bboxes = _boxes((0, 0), (1, 0)).expand(2, 2, 4)  # two boxes, the same for both classes
    scores = torch.tensor([[0.9, 0.1], [0.8, 0.2]])
    sequence = select_roi_sequence(bboxes, scores, SHAPE, num_rois=2, order='score')
    assert sequence.labels.tolist() == [0, 1]
    torch.testing.assert_close(sequence.scores, torch.tensor([0.9, 0.2]))


@pytest.mark.parametrize('num_boxes', [1, 2, 3])
def test_too_few_boxes_are_repeated_best_first(num_boxes):
    bboxes = _boxes((60, 0), (0, 10), (30, 30))[:num_boxes]
    scores = torch.tensor([[0.5], [0.2], [0.9]])[:num_boxes]
    sequence = select_roi_sequence(bboxes, scores, SHAPE, num_rois=4)
    assert len(sequence) == 4
    distance = sequence.bboxes[:, :2].norm(dim=1)
    assert (distance.diff() >= 0).all()
    counts = [(sequence.scores == score).sum().item() for score in scores[:, 0]]
    assert counts == {1: [4], 2: [2, 2], 3: [1, 1, 2]}[num_boxes]


@pytest.mark.parametrize('bboxes', [torch.zeros(0, 3, 4), torch.full((2, 3, 4), 5.0)])
def test_without_a_box_the_slice_is_the_region(bboxes):
    sequence = select_roi_sequence(bboxes, torch.rand(bboxes.shape[:2]), (60, 80), num_rois=4)
    assert sequence.bboxes.tolist() == [[0, 0, 80, 60]] * 4


def test_empty_boxes_are_left_out():
    bboxes = torch.tensor([[[10.0, 10, 10, 50]], [[20, 20, 40, 40]]])
    sequence = select_roi_sequence(bboxes, torch.tensor([[0.9], [0.1]]), SHAPE, num_rois=2)
    assert sequence.bboxes.tolist() == [[20, 20, 40, 40]] * 2
