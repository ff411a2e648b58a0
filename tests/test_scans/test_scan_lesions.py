"""3-D lesions of label maps: how they are joined, and where they are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mmcovid.classes import Classes
from mmcovid.scans.lesions import find_lung_frame, join_lesions, measure_lesions

CLASSES = Classes.of()  # 1 lung, 2 GGO, 3 consolidation
SPACING = (2.0, 2.0, 5.0)
maps = arrays(np.uint8, (3, 5, 6), elements=st.integers(0, 3))


def measure(labels, scores=(), spacing=SPACING, classes=CLASSES, least_ml=0.0):
    return measure_lesions(labels, scores, spacing, classes, least_ml)


def chest():
    """(12, 20, 40): two lungs of 12 x 12 pixels on slices 3 to 8; the patient's right is first."""
    labels = np.zeros((12, 20, 40), np.uint8)
    labels[3:9, 4:16, 4:16] = labels[3:9, 4:16, 24:36] = 1
    return labels


def test_what_touches_by_a_corner_in_the_next_slice_is_one_lesion_whatever_its_class():
    labels = np.zeros((4, 6, 6), np.uint8)
    labels[0, 0, 0], labels[1, 1, 1], labels[2, 2, 2] = 2, 3, 3
    labels[0, 5, 5] = labels[2, 5, 5] = 2  # a slice apart
    found = measure(labels)
    assert [each.voxels for each in found.lesions] == [3, 1, 1]
    first = found.lesions[0]
    assert first.class_ == 'consolidation' and (first.first_slice, first.last_slice) == (0, 2)
    assert first.ml == pytest.approx(3 * 0.02)
    assert first.ml_by_class == pytest.approx(dict(ggo=0.02, consolidation=0.04))


@settings(max_examples=30, deadline=None)
@given(maps)
def test_every_voxel_is_of_one_lesion_and_neighbours_of_the_same(labels):
    found = join_lesions(labels, CLASSES)
    assert found.place.tolist() == np.flatnonzero(labels > 1).tolist()
    assert (np.diff(found.sizes) <= 0).all()
    assert np.bincount(found.lesion, minlength=len(found.sizes)).tolist() == found.sizes.tolist()
    index = np.column_stack(np.unravel_index(found.place, labels.shape))
    touching = np.abs(index[:, None] - index[None]).max(2) <= 1
    same = found.lesion[:, None] == found.lesion[None]
    assert (same | ~touching).all()
    reached = np.eye(len(index), dtype=bool)
    for _ in index:
        reached = reached @ touching
    assert (reached == same).all()


@settings(max_examples=30, deadline=None)
@given(maps, st.permutations([2, 3]))
def test_classes_by_other_numbers_are_the_same_lesions(labels, order):
    other = np.choose(labels, [0, 1, *order]).astype(np.uint8)
    one, two = measure(labels), measure(other)
    assert [each.voxel for each in one.lesions] == [each.voxel for each in two.lesions]
    assert one.load_score == two.load_score


@settings(max_examples=30, deadline=None)
@given(maps)
def test_zones_hold_all_of_the_lung_and_of_the_lesions(labels):
    found = measure(labels)
    if found.zones is None:
        assert not labels.any()
        return
    ml = 0.02
    assert sum(zone.lung_ml for zone in found.zones) == pytest.approx((labels > 0).sum() * ml)
    assert sum(zone.lesion_ml for zone in found.zones) == pytest.approx((labels > 1).sum() * ml)
    assert 0 <= found.load_score <= 24


@pytest.mark.parametrize(
    'place, expected',
    [
        (np.s_[3:5, 4:6, 4:6], ('right', 'lower', 'peripheral')),
        (np.s_[5:7, 8:12, 8:12], ('right', 'middle', 'central')),
        (np.s_[7:9, 9:11, 29:31], ('left', 'upper', 'central')),
        (np.s_[5:7, 4:5, 10:30], ('both', 'middle', 'peripheral')),
    ],
)
def test_place(place, expected):
    labels = chest()
    labels[place] = 2
    (lesion,) = measure(labels).lesions
    assert (lesion.side, lesion.third, lesion.depth) == expected


def test_depth_is_in_mm_of_the_nearest_voxel_outside():
    labels = chest()
    labels[5, 9, 9] = 2  # 6 pixels from the outer edge of the lung, 3 slices above its lower end
    (lesion,) = measure(labels).lesions
    assert lesion.depth_mm == pytest.approx(6 * 2)
    (thin,) = measure(labels, spacing=(2.0, 2.0, 3.0)).lesions
    assert thin.depth_mm == pytest.approx(3 * 3)


def test_load_is_graded_by_quarters_of_each_zone():
    labels = chest()
    labels[7:9, 4:16, 4:7] = 2  # a quarter of the right upper third
    labels[3:5, 4:16, 24:33] = 3  # three quarters of the left lower third
    labels[3:5, 4, 33] = 3  # and a bit
    found = measure(labels)
    grades = {(zone.side, zone.third): zone.grade for zone in found.zones if zone.grade}
    assert grades == {('right', 'upper'): 1, ('left', 'lower'): 4} and found.load_score == 5
    share = {(zone.side, zone.third): zone.share for zone in found.zones}
    assert share['right', 'upper'] == 0.25 and share['left', 'upper'] == 0


def test_strays_and_holes_of_a_lung_mask_tell_no_place():
    labels = chest()
    expected = find_lung_frame(labels > 0, SPACING)
    labels[11, 0, 0] = 1  # above the lungs
    labels[5, 8:10, 8:10] = 0  # a vessel
    found = find_lung_frame(labels > 0, SPACING)
    assert (found.middle, found.slices) == (expected.middle, expected.slices)
    assert found.deepest == expected.deepest


def test_without_a_lung_no_place_is_told():
    labels = np.zeros((2, 4, 4), np.uint8)
    labels[0, 0, 0] = 1
    only = Classes.of(('ggo',))
    found = measure(labels, classes=only)
    assert found.zones is None and found.load_score is None
    assert found.lesions[0].side is None and found.lesions[0].depth_mm is None


def test_a_scan_without_lesions_or_lung():
    empty = measure(np.zeros((2, 4, 4), np.uint8))
    assert (empty.count, empty.left_out, empty.load_score, empty.lesions) == (0, 0, None, [])
    healthy = measure(chest())
    assert (healthy.count, healthy.load_score) == (0, 0)


def test_small_lesions_are_counted_apart():
    labels = chest()
    labels[3, 4, 4], labels[8, 4:9, 4] = 2, 2
    found = measure(labels, least_ml=0.05)
    assert (found.count, found.left_out) == (1, 1) and found.lesions[0].voxels == 5
    assert sum(zone.lesion_ml for zone in found.zones) == pytest.approx(6 * 0.02)


def test_score_is_the_highest_of_the_instances_that_a_lesion_has():
    labels = np.zeros((2, 4, 4), np.uint8)
    labels[0, 0, :2] = labels[1, 0, 0] = labels[0, 3, 3] = 2
    scores = [(0, 0.4), (16, 0.9), (1, 0.5), (5, 1.0)]  # the last one shows nothing
    found = measure(labels, scores)
    assert [each.score for each in found.lesions] == [0.9, None]
