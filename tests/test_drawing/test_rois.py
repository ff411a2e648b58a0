import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.structures import InstanceData

from mmcovid.drawing.rois import WeightedRoIs, _free_corner, draw_rois, tell_attention
from mmcovid.drawing.side_panel import SidePanel
from mmcovid.drawing.slices import weight_colors

NAMES, PALETTE = ('Lung', 'GGO', 'Consolidation'), [(86, 180, 233), (255, 176, 0), (230, 50, 150)]


def sequence(boxes, weights, labels=None):
    made = InstanceData(
        bboxes=torch.tensor(boxes, dtype=torch.float), attention=torch.tensor(weights)
    )
    if labels is not None:
        made.labels = torch.tensor(labels)
    return made


class Recorder(SidePanel):
    """A panel that keeps its rows."""

    def __init__(self):
        super().__init__(14)
        self.rows, self.texts, self.bars = [], [], []

    def columns(self, name, cells, **kwargs):
        self.rows.append((name, *cells))
        super().columns(name, cells, **kwargs)

    def text(self, text, *args, **kwargs):
        self.texts.append(text)
        super().text(text, *args, **kwargs)

    def color_bar(self, colors, low, high, name=''):
        self.bars.append((low, high, name))
        super().color_bar(colors, low, high, name)


def told(rois):
    panel = Recorder()
    tell_attention(panel, rois, lambda k: NAMES[k], PALETTE)
    return panel


def test_legend_has_class_weight_and_rank_of_each_roi():
    panel = told(
        WeightedRoIs.of(
            sequence(
                [[0, 0, 5, 5], [9, 9, 20, 20], [9, 9, 20, 20], [30, 0, 40, 9]],
                [[0.1, 0.4], [0.2, 0.15], [0.3, 0.2], [0.4, 0.25]],
                [0, 1, 1, 2],
            )
        )
    )
    assert panel.rows == [
        ('RoI', 'relevant', 'irrelevant'),
        ('2 GGO', '.500 (1)', '.350 (2)'),
        ('4 Consolidation', '.400 (2)', '.250 (3)'),
        ('1 Lung', '.100 (3)', '.400 (1)'),
    ]
    assert panel.bars == [
        ('0.100', '0.500', 'class-relevant'),
        ('0.250', '0.400', 'class-irrelevant'),
    ]
    assert '1 repeats added up' in panel.texts


def test_legend_of_one_branch_without_classes():
    panel = told(WeightedRoIs.of(sequence([[0, 0, 5, 5], [9, 9, 20, 20]], [0.0, 1.0])))
    assert panel.rows == [('RoI', 'weight (rank)'), ('2', '1.000 (1)'), ('1', '.000 (2)')]
    assert panel.bars == [('0.000', '1.000', '')]


@pytest.mark.parametrize('branch', [0, 1])
def test_rois_are_coloured_by_the_weights_of_a_branch(branch):
    image = np.zeros((512, 512, 3), np.uint8)
    rois = WeightedRoIs.of(
        sequence([[50, 50, 200, 200], [220, 220, 500, 500]], [[0.2, 0.9], [0.8, 0.1]])
    )
    picture = draw_rois(image, rois, branch, 1.0)
    colors = weight_colors([0, 1])
    for box_bottom, column, color in ((199, 100, colors[branch]), (499, 300, colors[1 - branch])):
        assert np.abs(picture[box_bottom, column].astype(int) - color).max() < 30
    tag = picture[50:64, 50:62].reshape(-1, 3)  # the number, on the colour of the weight
    assert len(np.unique(tag, axis=0)) > 3
    assert not image.any()


@settings(deadline=None)
@given(st.lists(st.tuples(*[st.floats(-50, 600)] * 4), min_size=1, max_size=16))
def test_tags_stay_in_the_picture(corners):
    boxes = np.array([[min(a, c), min(b, d), max(a, c), max(b, d)] for a, b, c, d in corners])
    taken, size = [], np.array([20.0, 14])
    for box in boxes:
        taken.append(_free_corner(box, size, taken, (512, 400, 3)))
        assert (taken[-1] >= 0).all() and taken[-1][2] < 400 and taken[-1][3] < 512


def test_tags_of_equal_boxes_do_not_cover_each_other():
    taken, box, size = [], np.array([100.0, 100, 300, 300]), np.array([20.0, 14])
    for _ in range(4):
        taken.append(_free_corner(box, size, taken, (512, 512, 3)))
    assert len({tuple(tag) for tag in taken}) == 4


def test_tags_do_not_hide_small_rois():
    box = np.array([100.0, 100, 110, 108])
    tag = _free_corner(box, np.array([20.0, 14]), [], (512, 512, 3))
    assert tag[3] <= box[1]
