import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmcovid.analysis.attention.regions import (
    SLICE_REGIONS,
    lung_field,
    region_maps,
    shares_in,
    true_lesions,
)
from mmcovid.classes import DEFAULT, Classes

SIZE = (40, 60)
#: two lungs of 20 x 20 pixels, 10 pixels apart
LUNGS = [(5, 10, 25, 30), (35, 10, 55, 30)]


def instances(boxes, labels, scores=None):
    """Masks, labels and scores."""
    masks = np.zeros((len(boxes), *SIZE), bool)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes):
        mask[y1:y2, x1:x2] = True
    return masks, np.array(labels, int), np.array(scores or [0.9] * len(boxes))


def maps_of(*boxes):
    return dict(
        zip(SLICE_REGIONS, region_maps(lung_field(*instances(boxes, [0] * len(boxes)), DEFAULT)))
    )


def test_field_holds_lungs_and_the_lesions_that_touch_them():
    field = lung_field(
        *instances(
            [*LUNGS, (25, 15, 28, 20), (0, 35, 4, 39), (30, 0, 34, 4)],
            [0, 0, 1, 2, 0],
            [0.9, 0.9, 0.5, 0.9, 0.1],
        ),
        DEFAULT,
    )
    assert field[12, 6] and field[17, 26]
    assert not field[37, 2]  # a lesion apart from the lungs
    assert not field[2, 32]  # a lung of low score
    assert field.sum() == 2 * 400 + 15


def test_holes_are_filled():
    masks, *ring = instances([LUNGS[0]], [0])
    masks[0, 15:20, 10:15] = False
    assert lung_field(masks, *ring, DEFAULT).sum() == 400


@pytest.mark.parametrize(
    'found', [instances([], [], []), instances([LUNGS[0]], [1]), instances([LUNGS[0]], [0], [0.2])]
)
def test_no_lung(found):
    assert lung_field(*found, DEFAULT) is None


def test_parts_of_two_lungs():
    maps = maps_of(*LUNGS)
    assert maps['image left'][12, 10] == 1 and maps['image left'][12, 40] == 0
    assert maps['image right'].sum() == maps['image left'].sum() == 400
    assert maps['ventral'][:20].sum() == maps['ventral'].sum() == 400
    assert maps['dorsal'][20:].sum() == 400
    assert maps['central'][20, 15] == 1 and maps['peripheral'][10, 5] == 1
    assert 0.4 < maps['peripheral'].sum() / 800 < 0.65
    assert maps['outside'].sum() == 40 * 60 - 800


def test_sides_of_a_single_lung_are_not_known():
    maps = maps_of((5, 5, 25, 35))
    assert np.isnan(maps['image left']).all() and np.isnan(maps['image right']).all()
    assert not np.isnan(maps['dorsal']).any()


def test_shares_of_boxes():
    boxes = np.array(
        [
            [5, 10, 25, 30],  # a lung
            [15, 10, 45, 30],  # half of each and all between
            [10.2, 12.4, 10.3, 12.5],  # thinner than a pixel
            [-20, -20, 5, 400],
        ]
    )  # beyond the slice
    shares = dict(zip(SLICE_REGIONS, shares_in(boxes, np.stack(list(maps_of(*LUNGS).values()))).T))
    assert shares['image left'] == pytest.approx([1, 1 / 3, 1, 0])
    assert shares['image right'] == pytest.approx([0, 1 / 3, 0, 0])
    assert shares['outside'] == pytest.approx([0, 1 / 3, 0, 1])
    assert shares['ventral'][0] == pytest.approx(0.5)


@settings(deadline=None)
@given(st.lists(st.tuples(*[st.floats(-10, 70)] * 4), min_size=1, max_size=8))
def test_shares_of_the_parts_add_up(corners):
    boxes = np.array([[min(a, c), min(b, d), max(a, c), max(b, d)] for a, b, c, d in corners])
    shares = dict(zip(SLICE_REGIONS, shares_in(boxes, np.stack(list(maps_of(*LUNGS).values()))).T))
    for one, other in (SLICE_REGIONS[:2], SLICE_REGIONS[2:4], SLICE_REGIONS[4:6]):
        np.testing.assert_allclose(shares[one] + shares[other] + shares['outside'], 1)


def test_true_lesions_are_without_the_lungs():
    masks, labels, _ = instances([LUNGS[0], (30, 5, 34, 9)], [0, 2])
    truth = true_lesions(masks, labels, DEFAULT)
    assert truth.sum() == 16 and truth[6, 32]
    assert not true_lesions(masks[:1], labels[:1], DEFAULT).any()


def test_the_lung_is_known_by_its_role():
    classes = Classes.of(('opacity', 'lobe'), roles=dict(lobe='lung'))
    masks, labels, scores = instances([LUNGS[0], (30, 5, 34, 9)], [1, 0])
    assert lung_field(masks, labels, scores, classes).sum() == 400
    assert true_lesions(masks, labels, classes).sum() == 16
    assert lung_field(masks, labels, scores, Classes.of(('opacity', 'lobe'))) is None
