import numpy as np
import pytest
from decision_oracles import ORACLES
from hypothesis import given, settings
from hypothesis import strategies as st

from mmcovid.statistics.conformal import prediction_sets, set_thresholds


def test_as_mapie():
    """Its split conformal sets, class by class; see tests/data/make_decision_oracles.py."""
    every = np.arange(len(ORACLES.val_truth))
    for coverage, expected in zip(ORACLES.coverages, ORACLES.sets):
        thresholds = set_thresholds(ORACLES.val_scores, ORACLES.val_truth, every, coverage)
        assert (prediction_sets(ORACLES.scores, thresholds) == expected).all()
        assert 0 < expected.mean() < 1


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.floats(0.05, 0.99), st.integers(0, 99))
def test_threshold_is_the_score_of_the_case_that_theory_names(number, coverage, seed):
    scores = np.random.default_rng(seed).random((number, 1))
    found = set_thresholds(scores, np.zeros(number, int), np.arange(number), coverage)[0]
    place = int(np.ceil((number + 1) * coverage - 1e-6))
    assert found == (np.sort(scores[:, 0])[-place] if place <= number else 0)


def test_as_many_cases_of_each_class_are_covered_as_asked_for():
    """4,000 draws of 19 validation cases of each class, of unequal scores: 18 of 20 are asked for.

    By theory a new case is covered with a probability of exactly 0.9.
    """
    rng = np.random.default_rng(0)
    covered = np.zeros(2)
    for _ in range(4000):
        truth = np.repeat([0, 1], 20)
        own = rng.beta([[5], [1]], [[1], [2]], (2, 20)).ravel()
        scores = np.where(truth[:, None] == [0, 1], own[:, None], 1 - own[:, None])
        held_out = np.ones(40, bool)
        held_out[[19, 39]] = False
        thresholds = set_thresholds(scores[held_out], truth[held_out], np.arange(38), 0.9)
        covered += prediction_sets(scores[~held_out], thresholds).diagonal()
    assert covered / 4000 == pytest.approx([0.9, 0.9], abs=0.015)


def test_slices_of_a_patient_are_no_patients_more():
    """Patients whose slices are alike: the shares hold for a slice of a patient to come."""
    rng = np.random.default_rng(1)
    covered = alone = 0
    for _ in range(1500):
        patients = rng.random(20)
        sizes = rng.integers(1, 30, 19)
        slices = np.repeat(np.arange(19), sizes)
        scores, label = patients[slices][:, None], np.zeros(len(slices), int)
        covered += patients[19] >= set_thresholds(scores, label, slices, 0.9)[0]
        alone += patients[19] >= set_thresholds(scores, label, np.arange(len(slices)), 0.9)[0]
    assert covered / 1500 == pytest.approx(0.9, abs=0.025)
    assert alone / 1500 < 0.87  # as if they were, which is too few


def test_class_of_too_few_patients_is_in_every_set():
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])
    thresholds = set_thresholds(scores, np.array([0, 0, 1]), np.arange(3), 0.6)
    assert thresholds.tolist() == [0.8, 0]
    assert prediction_sets(np.array([0.5, 0.5]), thresholds).tolist() == [False, True]
