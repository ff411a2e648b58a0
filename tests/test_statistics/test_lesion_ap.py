from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmcovid.evaluation import per_image_ap

VECTORS = Path(__file__).parents[1] / 'data' / 'average_precision.npz'
untimed = settings(deadline=None)
KEYS = ('gt_masks', 'gt_labels', 'pred_masks', 'pred_labels', 'pred_scores')
SIZE = 12


def box_masks(boxes):
    """Masks of boxes (x, y, width, height) in a small slice, (n, SIZE, SIZE)."""
    masks = np.zeros((len(boxes), SIZE, SIZE), bool)
    for mask, (x, y, width, height) in zip(masks, boxes):
        mask[y : y + height, x : x + width] = True
    return masks


@st.composite
def slices(draw, min_size=0):
    """Arguments of one slice; scores differ, masks may overlap, be equal or be empty."""
    box = st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 6), st.integers(1, 6))
    truth, found = (
        draw(st.lists(st.tuples(box, st.integers(0, 1)), min_size=min_size, max_size=6))
        for _ in range(2)
    )
    scores = draw(st.permutations(np.linspace(0, 1, len(found)).tolist()))
    return [
        box_masks([box for box, _ in truth]),
        np.array([k for _, k in truth], int),
        box_masks([box for box, _ in found]),
        np.array([k for _, k in found], int),
        np.array(scores, float),
    ]


def overlap(one, other):
    union = (one | other).sum()
    return (one & other).sum() / union if union else 0


def in_plain_loops(gt_masks, gt_labels, pred_masks, pred_labels, pred_scores, threshold):
    """The rule as a person would follow it."""
    if not len(gt_masks) or not len(pred_masks):
        return float(len(gt_masks) == len(pred_masks))
    best_first = sorted(range(len(pred_masks)), key=lambda p: -pred_scores[p])
    taken = set()
    for mask, label in zip(gt_masks, gt_labels):
        choice, highest = None, 0
        for p in best_first:
            iou = overlap(mask, pred_masks[p])
            if pred_labels[p] == label and iou >= highest:
                choice, highest = p, iou
        if np.float32(highest) > np.float32(threshold):
            taken.add(choice)
    found, points = 0, []
    for number, p in enumerate(best_first, 1):
        found += p in taken
        points.append((found / len(gt_masks), found / number))
    area, before = 0, 0
    for i, (recall, _) in enumerate(points):
        area += (recall - before) * max(precision for _, precision in points[i:])
        before = recall
    return area


@pytest.mark.parametrize('i', range(10))
def test_reproduces_the_release(i):
    vectors = np.load(VECTORS)
    arguments = [vectors[f'{i}/{key}'] for key in KEYS]
    expected = vectors['ap'][i]
    for thresholds in (None, vectors['thresholds']):  # single precision in the file
        np.testing.assert_allclose(per_image_ap(*arguments, thresholds), expected, atol=1e-6)


@untimed
@given(slices(), st.lists(st.sampled_from([0.1, 0.25, 0.5, 0.6, 0.75, 0.95]), max_size=4))
def test_follows_the_rule(arguments, thresholds):
    found = per_image_ap(*arguments, thresholds)
    assert found.shape == (len(thresholds),)
    assert found == pytest.approx([in_plain_loops(*arguments, t) for t in thresholds])


@untimed
@given(slices())
def test_is_a_share_that_falls_with_the_threshold(arguments):
    found = per_image_ap(*arguments)
    assert found.shape == (10,)
    assert (found >= 0).all() and (found <= 1 + 1e-12).all()
    assert (np.diff(found) <= 1e-12).all()


@untimed
@given(slices(min_size=1), st.randoms())
def test_order_of_the_predictions_does_not_matter(arguments, random):
    order = random.sample(range(len(arguments[4])), len(arguments[4]))
    shuffled = [*arguments[:2], *(values[order] for values in arguments[2:])]
    assert per_image_ap(*shuffled) == pytest.approx(per_image_ap(*arguments))


@untimed
@given(slices(min_size=1))
def test_with_only_one_of_truth_and_prediction_it_is_zero(arguments):
    masks, labels, found, classes, scores = arguments
    assert not per_image_ap(masks, labels, found[:0], classes[:0], scores[:0]).any()
    assert not per_image_ap(masks[:0], labels[:0], found, classes, scores).any()


def test_without_both_it_is_one():
    nothing = np.zeros((0, SIZE, SIZE)), np.zeros(0)
    assert (per_image_ap(*nothing, *nothing, np.zeros(0)) == 1).all()


@untimed
@given(st.lists(st.integers(0, 2), min_size=1, max_size=4), st.integers(0, 4), st.integers(0, 3))
def test_objects_that_are_all_there(labels, missed, made_up):
    """Apart from each other; made-up ones of lower score change nothing."""
    missed = min(missed, len(labels))
    masks = box_masks([(3 * i, 0, 2, 5) for i in range(len(labels))])
    extra = box_masks([(3 * i, 7, 2, 5) for i in range(made_up)])
    found = np.concatenate([masks[missed:], extra])
    classes = labels[missed:] + [0] * made_up
    scores = np.linspace(1, 0.5, len(found))
    expected = 1 - missed / len(labels)
    assert per_image_ap(masks, labels, found, classes, scores) == pytest.approx([expected] * 10)
    if len(found):  # of another class
        assert not per_image_ap(masks, labels, found, np.add(classes, 3), scores).any()


def test_several_objects_may_take_the_same_prediction():
    one, part = (0, 0, 10, 10), (0, 0, 10, 9)
    assert per_image_ap(
        box_masks([one, part]), [1, 1], box_masks([one]), [1], [0.9], [0.5]
    ) == pytest.approx([0.5])


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
@pytest.mark.parametrize('twentieths', range(10, 20))
def test_an_iou_of_exactly_the_threshold_is_not_enough(twentieths, dtype):
    truth, found = np.zeros((2, 1, 4, 5), bool)
    truth[:], found.flat[:twentieths] = True, True
    thresholds = np.array([twentieths - 1, twentieths], dtype) / dtype(20)
    assert per_image_ap(truth, [0], found, [0], [0.9], thresholds).tolist() == [1, 0]


def test_probabilities_are_cut_at_a_half():
    masks = box_masks([(1, 1, 6, 6)])
    blurred = np.where(masks, 0.51, 0.49)
    assert (per_image_ap(masks, [0], blurred, [0], [0.3]) == 1).all()
    assert (per_image_ap(masks.astype(np.uint8), [0], masks, [0], [0.3]) == 1).all()


@pytest.mark.parametrize(
    ('position', 'value', 'message'),
    [
        (0, np.zeros((SIZE, SIZE)), r'gt_masks must have the shape \(G, H, W\)'),
        (2, np.zeros((1, 1, SIZE, SIZE)), r'pred_masks must have the shape \(P, H, W\)'),
        (1, [0, 1], r'gt_labels must have the shape \(1,\)'),
        (3, [[1]], r'pred_labels must have the shape \(1,\)'),
        (4, [], r'pred_scores must have the shape \(1,\)'),
        (4, [np.nan], 'not finite'),
        (2, np.ones((1, SIZE, 2 * SIZE)), 'different sizes'),
        (5, 0.5, 'iou_thrs must be a list'),
        (5, [50, 75], r'iou_thrs must be a list of numbers in 0\.\.1'),
    ],
)
def test_arguments_that_do_not_fit(position, value, message):
    masks = box_masks([(1, 1, 6, 6)])
    arguments = [masks, [0], masks, [0], [0.5], None]
    arguments[position] = value
    with pytest.raises(ValueError, match=message):
        per_image_ap(*arguments)
