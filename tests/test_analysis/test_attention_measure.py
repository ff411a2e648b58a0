import numpy as np
import pytest
from attention_utils import NUM_ROIS, deletions, random_slices, slice_of
from scipy.stats import spearmanr

from mmcovid.analysis.attention.measure import (
    ResampledSlices,
    deletion_rows,
    measure_sets,
    roi_rows,
)
from mmcovid.analysis.attention.regions import SLICE_REGIONS
from mmcovid.analysis.attention.words import ALL
from mmcovid.classes import DEFAULT, LESION_CLASSES


def set_of(slices, rounds=20):
    return ResampledSlices(slices, DEFAULT, rounds, seed=0)


def shares_of(slices, kind='lesion class'):
    return {
        (row.group, row.name, row.branch): row
        for row in set_of(slices).shares()
        if row.kind == kind
    }


def test_shares_of_lesion_classes():
    slices = [slice_of(0, [0.1, 0.2, 0.3, 0.4]), slice_of(1, [0.7, 0.1, 0.1, 0.1], truth=2)]
    rows = shares_of(slices)
    ggo = rows[ALL, 'ggo', 'attention']
    assert ggo.attention.value == pytest.approx((0.5 + 0.2) / 2)
    assert ggo.even.value == 0.5
    assert ggo.ratio.value == pytest.approx(0.7)
    assert rows['true cp', 'lung', 'attention'].ratio.value == pytest.approx(0.4)
    wrong = rows['wrongly cp', 'consolidation', 'attention']
    assert wrong.slices == 1 and wrong.attention.value == pytest.approx(0.1)
    assert not any(group.startswith('predicted') for group, _, _ in rows)


def test_branches_are_apart_and_all_shares_add_up():
    rows = shares_of(random_slices(12, branches=2))
    for group in (ALL, 'true normal', 'true cp'):
        for branch in ('class-relevant', 'class-irrelevant'):
            assert sum(
                rows[group, name, branch].attention.value for name in LESION_CLASSES
            ) == pytest.approx(1)
    assert rows[ALL, 'ggo', 'class-relevant'] != rows[ALL, 'ggo', 'class-irrelevant']


def test_slices_without_lungs_are_left_out_and_counted():
    regions = np.zeros((NUM_ROIS, len(SLICE_REGIONS)))
    regions[:, SLICE_REGIONS.index('outside')] = [0, 0, 0, 1]
    one_lung = regions.copy()
    one_lung[:, :2] = np.nan
    slices = [
        slice_of(0, [0.1, 0.2, 0.3, 0.4], regions=regions),
        slice_of(1, [0.1, 0.2, 0.1, 0.6], regions=one_lung),
        slice_of(2, [1, 0, 0, 0]),
    ]
    made = set_of(slices)
    assert made.describe().no_lung_found == made.describe().one_lung_found == 1
    rows = shares_of(slices, 'region')
    outside = rows[ALL, 'outside', 'attention']
    assert outside.slices == 2 and outside.attention.value == pytest.approx(0.5)
    assert outside.ratio.value == pytest.approx(2)
    assert rows[ALL, 'image left', 'attention'].slices == 1


def test_lesion_set_is_grouped_by_prediction():
    rows = shares_of([slice_of(0, [0.1, 0.2, 0.3, 0.4], task='seg', pred=2)])
    assert {group for group, _, _ in rows} == {ALL, 'predicted covid19'}


def test_order_of_even_and_of_fixed_weights():
    even = set_of([slice_of(i, [0.25] * 4) for i in range(6)]).order()['attention']
    assert even.effective_rois.value == pytest.approx(4)
    assert np.isnan(even.place_correlation.value)  # nothing to correlate
    fixed = set_of([slice_of(i, [0.4, 0.3, 0.2, 0.1]) for i in range(6)]).order()['attention']
    assert fixed.explained_by_place.value == pytest.approx(1)
    assert fixed.place_correlation.value == pytest.approx(-1)
    assert [e.value for e in fixed.by_place] == pytest.approx([0.4, 0.3, 0.2, 0.1])
    single = set_of([slice_of(i, np.eye(4)[i % 4]) for i in range(8)]).order()['attention']
    assert single.effective_rois.value == pytest.approx(1)
    assert single.explained_by_place.value == pytest.approx(0)


def test_order_of_random_weights_by_hand():
    slices = random_slices(10)
    figures = set_of(slices).order()['attention']
    assert figures.score_correlation.value == pytest.approx(
        np.mean([spearmanr(s.scores, s.weights[:, 0]).statistic for s in slices])
    )
    assert figures.by_score[0].value == pytest.approx(
        np.mean([s.weights[s.scores.argmax(), 0] for s in slices])
    )
    weights = np.stack([s.weights[:, 0] for s in slices])
    assert figures.explained_by_place.value == pytest.approx(
        10 * weights.mean(0).var() / weights.var(1).sum()
    )
    assert figures.largest_weight.value == pytest.approx(weights.max(1).mean())


def test_pointing_game():
    slices = [
        slice_of(0, [0.1, 0.2, 0.3, 0.4], task='seg', centred=np.array([0.0, 0, 0, 1])),
        slice_of(1, [0.4, 0.3, 0.2, 0.1], task='seg', centred=np.array([0.0, 0, 0, 1])),
        slice_of(2, [0.4, 0.3, 0.2, 0.1], task='seg'),
    ]  # no lesion
    entry = set_of(slices).pointing()['attention']
    assert entry.slices == 2
    assert [entry.hit.value, entry.chance.value, entry.difference.value] == [0.5, 0.25, 0.25]
    assert set_of(slices[2:]).pointing() == {}


def test_deletion_is_paired_and_counts_slices_of_too_few_rois():
    slices = [slice_of(i, [0.1, 0.2, 0.3, 0.4]) for i in range(6)]
    for i, each in enumerate(slices[:4]):
        each.deletions = deletions(0.1 * i + 0.2, 0.1 * i, 0.1 * i)
    slices[4].deletions = deletions(0.9, 0, 0, k=2)
    rows = {(row.ranking, row.dropped, row.measure): row for row in set_of(slices).deletion()}
    row = rows['attention', 1, 'score_drop']
    assert (row.slices, row.too_few_rois) == (4, 2)
    assert row.top.value == pytest.approx(0.35)
    change = row.top_minus_random  # the same in all slices
    assert [change.value, change.low, change.high] == pytest.approx([0.2] * 3)
    assert row.random.low < row.random.high
    assert rows['attention', 1, 'logit_drop'].top.value == pytest.approx(0.7)
    assert rows['attention', 1, 'flipped'].top.value == pytest.approx(0.25)
    assert rows['detection score', 2, 'score_drop'].slices == 1


def test_sets_are_apart_and_figures_repeat():
    slices = random_slices(8) + random_slices(4, task='seg')
    one, other = (measure_sets(slices, DEFAULT, 30, 0) for _ in range(2))
    assert list(one) == ['cls', 'seg'] and str(one) == str(other)
    assert (one['cls'].set.slices, one['seg'].set.patients) == (8, 2)


def test_tables_have_a_row_for_each_place_and_drop():
    slices = random_slices(3, branches=2)
    slices[0].boxes[2], slices[0].labels[:] = slices[0].boxes[1], 1
    header, rows = roi_rows(slices, DEFAULT)
    assert len(rows) == 3 * NUM_ROIS and set(rows[0]) == set(header)
    assert [row['repeat_of'] for row in rows[:NUM_ROIS]] == ['', '', 2, '']
    assert rows[1]['class_irrelevant'] == slices[0].weights[1, 1]
    assert {'image_left', 'outside', 'true_lesion'} < set(header)
    slices[1].deletions = deletions(0.2, 0.1, 0)
    header, rows = deletion_rows(slices, DEFAULT)
    assert len(rows) == 5 and set(rows[0]) == set(header)
    assert rows[0]['img_id'] == 'slice 1' and rows[0]['true_class'] == 'cp'
