import numpy as np
import pytest
from predictions_utils import box_mask, simulate_lesions

from mmcovid.analysis.evaluation.errors import surest_errors, worst, worst_segmented
from mmcovid.classes import DEFAULT
from mmcovid.statistics.classification import Cases


@pytest.fixture
def cases():
    rng = np.random.default_rng(0)
    scores = rng.dirichlet(np.ones(3), 60)
    return Cases(
        ids=np.array([f's{i}' for i in range(60)]),
        truth=np.arange(60) % 3,
        pred=scores.argmax(1),
        scores=scores,
        cluster=np.arange(60) // 6,
    )


def test_worst_has_one_of_each_patient_first_and_no_right_slice():
    badness, patients = np.array([9.0, 8, 7, 6, 5]), np.array([0, 0, 0, 1, 2])
    wrong = np.array([True, True, True, True, False])
    assert worst(badness, wrong, patients, 2).tolist() == [0, 3]
    assert worst(badness, wrong, patients, 9).tolist() == [0, 1, 2, 3]


def test_surest_errors(cases):
    wrong = np.flatnonzero(cases.pred != cases.truth)
    paths = {name: f'{name}.png' for name in cases.ids}
    errors = surest_errors(cases, paths, 1000)
    assert {error.id for error in errors} == set(cases.ids[wrong])
    assert all(error.path == f'{error.id}.png' for error in errors)
    excess = [error.score - error.true_score for error in errors]
    assert excess == sorted(excess, reverse=True) and excess[-1] >= 0
    few = surest_errors(cases, paths, 5)
    assert len({int(error.id[1:]) // 6 for error in few}) == 5


def entry(name, true, found):
    """A slice of GGO boxes, the score of predicted ones is 0.9."""
    return dict(
        img_id=name,
        img_path=f'{name}.png',
        patient_id=name,
        instances=[dict(bbox_label=1, mask=box_mask(*box)) for box in true],
        pred_instances=dict(
            labels=[1] * len(found),
            scores=[0.9] * len(found),
            masks=[box_mask(*box) for box in found],
        ),
    )


def test_worst_segmented_is_by_dice():
    slices = [
        entry('exact', [(5, 5, 10, 10)], [(5, 5, 10, 10)]),
        entry('empty', [], []),
        entry('half', [(5, 5, 10, 10)], [(5, 5, 10, 5)]),
        entry('missed', [(5, 5, 10, 10)], []),
        entry('invented', [], [(20, 20, 10, 10)]),
    ]
    errors = worst_segmented(slices, DEFAULT, 0.3, 10)
    assert [(e.id, e.path, e.dice) for e in errors] == [
        ('invented', 'invented.png', {'ggo': 0.0}),
        ('missed', 'missed.png', {'ggo': 0.0}),
        ('half', 'half.png', {'ggo': pytest.approx(2 / 3)}),
    ]


def test_predictions_below_the_threshold_do_not_count():
    lesions = simulate_lesions()
    strict = worst_segmented(lesions, DEFAULT, 1.1, 100)
    assert len(strict) == len([e for e in lesions if e['instances']])
    assert all(value == 0 for e in strict for value in e.dice.values())
