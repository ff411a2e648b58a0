"""Figures against scikit-learn, on the resampled cases themselves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from mmcovid.evaluation import ImageLevelMetric
from mmcovid.statistics.bootstrap import Resamples, resample_clusters
from mmcovid.statistics.classification import (
    Cases,
    calibration_figures,
    classification_figures,
    confusion_counts,
    patients_behind,
)

CLASSES = ('normal', 'cp', 'covid19')


def random_cases(seed, n=60, patients=9, ties=True):
    rng = np.random.default_rng(seed)
    scores = rng.dirichlet((1, 1, 1), n)
    if ties:
        scores = np.round(scores, 1)
    return Cases(
        np.arange(n).astype(str),
        rng.integers(3, size=n),
        scores.argmax(1),
        scores,
        rng.integers(patients, size=n),
    )


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.booleans())
def test_figures_of_a_resample_are_those_of_the_repeated_cases(seed, ties):
    cases = random_cases(seed, ties=ties)
    weights = resample_clusters(9, 140, seed)
    found = classification_figures(cases, weights, CLASSES)
    matrices = confusion_counts(cases, weights)
    for row in (0, 1, 140):
        again = cases.take(np.repeat(np.arange(len(cases)), weights[row, cases.cluster]))
        present = set(again.truth)
        assert np.array_equal(
            matrices[row], metrics.confusion_matrix(again.truth, again.pred, labels=range(3))
        )
        expected = dict(
            accuracy=metrics.accuracy_score(again.truth, again.pred),
            weighted_f1=metrics.f1_score(again.truth, again.pred, average='weighted'),
        )
        if present == set(cases.truth):
            expected['macro_f1'] = metrics.f1_score(
                again.truth, again.pred, labels=sorted(present), average='macro'
            )
        for k, name in enumerate(CLASSES):
            if k not in present or len(present) < 2:
                assert np.isnan(found[f'{name}_sensitivity'][row]) or k in present
                continue
            own = again.truth == k
            expected[f'{name}_auroc'] = metrics.roc_auc_score(own, again.scores[:, k])
            expected[f'{name}_auprc'] = metrics.average_precision_score(own, again.scores[:, k])
            expected[f'{name}_sensitivity'] = metrics.recall_score(own, again.pred == k)
            expected[f'{name}_specificity'] = metrics.recall_score(~own, again.pred != k)
            expected[f'{name}_f1'] = metrics.f1_score(own, again.pred == k)
            if (again.pred == k).any():
                expected[f'{name}_ppv'] = metrics.precision_score(own, again.pred == k)
        for key, value in expected.items():
            assert found[key][row] == pytest.approx(value), (key, row)


def test_figures_are_those_of_the_metric():
    cases = random_cases(1)
    metric = ImageLevelMetric()
    metric.process(
        {},
        [
            dict(gt_label=t, pred_label=p, pred_score=s)
            for t, p, s in zip(cases.truth, cases.pred, cases.scores)
        ],
    )
    expected = metric.evaluate(len(cases))
    found = classification_figures(cases, resample_clusters(9, 1, 0), CLASSES)
    shared = [key for key in found if f'image/{key}' in expected]
    assert len(shared) == 4 + 3 * 6
    for key in shared:
        assert found[key][0] == pytest.approx(expected[f'image/{key}']), key


def test_means_do_not_change_their_classes_from_resample_to_resample():
    cases = Cases(
        np.array(['a', 'b', 'c']),
        np.array([0, 0, 1]),
        np.array([0, 0, 1]),
        np.eye(3)[[0, 0, 1]],
        np.array([0, 0, 1]),
    )
    found = classification_figures(cases, np.array([[1, 1], [2, 0]]), CLASSES)
    assert found['macro_f1'][0] == 1  # of the two classes that there are
    assert np.isnan(found['macro_f1'][1])  # the resample lacks one of them
    assert np.isnan(found['covid19_sensitivity']).all()


def test_falsely_predicted_class_that_the_set_lacks_has_no_say_in_the_means():
    truth, pred = np.repeat([0, 2], 20), np.repeat([0, 2], 20)
    pred[0] = 1
    cases = Cases(np.arange(40), truth, pred, np.eye(3)[pred], np.arange(40) // 4)
    resamples = Resamples(10, 200, seed=0)
    found = classification_figures(cases, resamples.weights, CLASSES)
    assert found['macro_f1'][0] == pytest.approx(
        metrics.f1_score(truth, pred, labels=np.unique(truth), average='macro')
    )
    assert found['macro_f1'][0] == pytest.approx((38 / 39 + 1) / 2)
    bounds = resamples.estimate(
        found['macro_f1'], patients=patients_behind(cases, CLASSES)['macro_f1']
    )
    assert 0.5 < bounds.low < bounds.value < bounds.high <= 1


def test_resample_that_loses_a_class_has_no_mean_though_the_class_is_predicted():
    cases = Cases(
        np.arange(4),
        np.array([0, 0, 1, 0]),
        np.array([0, 0, 1, 1]),
        np.eye(3)[[0, 0, 1, 1]],
        np.array([0, 0, 1, 0]),
    )
    found = classification_figures(cases, np.array([[1, 1], [2, 0]]), CLASSES)
    assert found['cp_f1'][1] == 0 and np.isnan(found['macro_f1'][1])


def test_patients_behind_figures():
    truth, pred = np.array([0, 0, 1, 1, 1, 2]), np.array([0, 1, 1, 1, 1, 2])
    cases = Cases(np.arange(6), truth, pred, np.eye(3)[pred], np.array([0, 1, 2, 2, 3, 4]))
    found = patients_behind(cases, CLASSES)
    assert found['accuracy'] == 36 / 8  # one of five patients has two slices
    assert found['normal_sensitivity'] == found['normal_f1'] == 2
    assert found['cp_sensitivity'] == 9 / 5 and found['cp_ppv'] == 16 / 6
    assert found['covid19_specificity'] == 25 / 7 and found['covid19_auroc'] == 1
    assert found['macro_f1'] == found['macro_auroc'] == 1
    assert set(found) == set(classification_figures(cases, np.ones((1, 5)), CLASSES))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_calibration_figures_by_definition(seed):
    cases = random_cases(seed, ties=False)
    weights = resample_clusters(9, 5, seed)
    found = calibration_figures(cases, weights)
    for row in range(6):
        again = cases.take(np.repeat(np.arange(len(cases)), weights[row, cases.cluster]))
        assert found['nll'][row] == pytest.approx(
            metrics.log_loss(again.truth, again.scores, labels=range(3))
        )
        brier = sum(np.mean((again.scores[:, k] - (again.truth == k)) ** 2) for k in range(3))
        assert found['brier'][row] == pytest.approx(brier)
        confidence, right = again.scores.max(1), again.pred == again.truth
        ece = 0
        for low in np.arange(15) / 15:
            inside = (confidence > low) & (confidence <= low + 1 / 15)
            if inside.any():
                ece += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
        assert found['ece'][row] == pytest.approx(ece, abs=1e-9)
