import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mmcovid.statistics.detection import (
    RATES,
    Detections,
    detection_figures,
    froc_curve,
    froc_sensitivity,
    match_best_first,
    panoptic_figures,
)

#: Two scans: the first has 2 true lesions, the second none.
KNOWN = Detections(
    num_truth=np.array([2, 0]),
    scan=np.array([0, 1, 0, 1, 0]),
    score=np.array([0.9, 0.8, 0.7, 0.7, 0.2]),
    hit=np.array([True, False, True, False, False]),
)
CLUSTER = np.array([0, 1])
ITSELF = np.ones((1, 2))


def test_the_highest_score_chooses_first():
    iou = np.array([[0.6, 0.5, 0.0], [0.0, 0.2, 0.3]])
    assert match_best_first(iou, np.array([0.5, 0.9, 0.1]), 0.1).tolist() == [-1, 0, 1]
    assert match_best_first(iou, np.array([0.9, 0.5, 0.1]), 0.1).tolist() == [0, 1, -1]
    assert match_best_first(iou, np.array([0.9, 0.5, 0.1]), 0.3).tolist() == [0, -1, 1]


@pytest.mark.parametrize('shape', [(0, 3), (3, 0), (0, 0)])
def test_nothing_to_match(shape):
    assert match_best_first(np.zeros(shape), np.ones(shape[1]), 0.1).tolist() == [-1] * shape[1]


@settings(max_examples=30, deadline=None)
@given(arrays(float, (3, 4), elements=st.floats(0, 1)), st.permutations(range(4)))
def test_matching_is_one_to_one_and_does_not_depend_on_the_order(iou, order):
    score = np.array([0.4, 0.3, 0.2, 0.1])
    matched = match_best_first(iou, score, 0.2)
    taken = matched[matched >= 0]
    assert len(set(taken)) == len(taken)
    assert all(iou[true, found] >= 0.2 for found, true in enumerate(matched) if true >= 0)
    assert match_best_first(iou[:, order], score[order], 0.2).tolist() == matched[order].tolist()


def test_froc_of_known_detections():
    fp, sensitivity = froc_curve(KNOWN)
    # the two of 0.7 come together: no threshold parts them
    assert fp.tolist() == [0, 0, 0.5, 1, 1.5] and sensitivity.tolist() == [0, 0.5, 0.5, 1, 1]
    found = froc_sensitivity(KNOWN, CLUSTER, ITSELF)
    assert dict(zip(RATES, found[0])) == {
        0.125: 0.5, 0.25: 0.5, 0.5: 0.5, 1: 1, 2: 1, 4: 1, 8: 1,
    }  # fmt: skip


def test_resamples_are_sets_of_their_own():
    weights = np.array([[2, 0], [0, 2], [1, 1]])
    found = froc_sensitivity(KNOWN, CLUSTER, weights)
    assert found[0].tolist() == [1.0] * 7  # only the scan with lesions, whose hits come first
    assert np.isnan(found[1]).all()  # no true lesion is drawn
    figures = detection_figures(KNOWN, CLUSTER, weights)
    assert figures['fp_per_scan'].tolist() == [1, 2, 1.5]
    assert figures['ppv'].tolist() == pytest.approx([2 / 3, 0, 2 / 5])
    assert np.isnan(figures['sensitivity'][1]) and figures['sensitivity'][2] == 1


def test_nothing_found_is_a_sensitivity_of_0():
    none = Detections(np.array([2, 1]), np.zeros(0, int), np.zeros(0), np.zeros(0, bool))
    assert froc_sensitivity(none, CLUSTER, ITSELF).tolist() == [[0] * 7]
    assert [axis.tolist() for axis in froc_curve(none)] == [[0], [0]]
    figures = detection_figures(none, CLUSTER, ITSELF)
    assert figures['sensitivity'][0] == figures['fp_per_scan'][0] == 0
    assert np.isnan(figures['ppv'][0])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_more_false_positives_are_never_less_sensitive(seed):
    rng = np.random.default_rng(seed)
    hit = rng.random(12) < 0.5
    some = Detections(
        np.full(4, hit.sum()), rng.integers(4, size=12), rng.integers(5, size=12) / 5, hit
    )
    weights = rng.integers(3, size=(6, 4))
    found = froc_sensitivity(some, np.arange(4), weights)
    drawn = found[weights.sum(1) > 0]
    assert (np.diff(drawn, axis=1) >= 0).all() and (drawn >= 0).all() and (drawn <= 1).all()


def test_panoptic_quality_is_the_product_of_its_factors():
    found = panoptic_figures(
        np.array([1.5, 0.0]), np.array([2, 0]), np.array([2, 1]), np.array([3, 0]), CLUSTER, ITSELF
    )
    assert found['sq'][0] == 0.75 and found['rq'][0] == pytest.approx(2 / 3)
    assert found['pq'][0] == pytest.approx(0.75 * 2 / 3)
    nothing = panoptic_figures(*[np.zeros(2)] * 4, CLUSTER, ITSELF)
    assert all(np.isnan(values[0]) for values in nothing.values())
