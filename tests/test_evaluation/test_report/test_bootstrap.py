from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmcovid.evaluation.report.bootstrap import estimate, resample_clusters, weighted_sums
from mmcovid.evaluation.report.calibration import image_scores
from mmcovid.evaluation.report.classification import (
    Cases,
    confusion_counts,
    count_figures,
    rank_figures,
)


def test_resamples_draw_as_many_clusters_as_there_are():
    weights = resample_clusters(17, 200, seed=3)
    assert weights.shape == (201, 17)
    assert (weights[0] == 1).all()
    assert (weights.sum(1) == 17).all()
    assert abs(weights[1:].mean(0) - 1).max() < 0.3
    assert np.array_equal(weights, resample_clusters(17, 200, seed=3))
    assert not np.array_equal(weights, resample_clusters(17, 200, seed=4))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.integers(1, 300), st.integers(0, 99))
def test_sums_are_those_of_the_repeated_samples(clusters, rounds, seed):
    rng = np.random.default_rng(seed)
    cluster = rng.integers(clusters, size=30)
    values = rng.normal(size=(30, 2))
    weights = resample_clusters(clusters, rounds, seed)
    sums = weighted_sums(values, cluster, weights)
    for row in (0, rounds):
        repeated = np.repeat(values, weights[row, cluster], axis=0)
        assert sums[row] == pytest.approx(repeated.sum(0))


def test_interval_of_a_mean_is_the_normal_one():
    rng = np.random.default_rng(0)
    values = rng.normal(3, 2, 400)
    weights = resample_clusters(400, 4000, seed=0)
    means = weighted_sums(values[:, None], np.arange(400), weights)[:, 0] / 400
    found, error = estimate(means), values.std() / 20
    assert found['value'] == pytest.approx(values.mean())
    assert found['low'] == pytest.approx(values.mean() - 1.96 * error, abs=0.1 * error)
    assert found['high'] == pytest.approx(values.mean() + 1.96 * error, abs=0.1 * error)


def test_bias_of_the_resamples_is_corrected():
    draws = np.random.default_rng(0).normal(size=100_000)
    found = estimate(np.concatenate([[0.], draws + 0.5]))  # their median is half an SD too high
    assert found['low'] == pytest.approx(-0.5 - 1.96, abs=0.05)
    assert found['high'] == pytest.approx(-0.5 + 1.96, abs=0.05)


def test_figures_that_resamples_do_not_define():
    half = np.where(np.arange(101) % 2, 0.5, np.nan)
    assert np.isnan(estimate(np.concatenate([[0.5], half]))['low'])
    few = np.where(np.arange(101) < 5, np.nan, 0.5)
    assert estimate(np.concatenate([[0.5], few]))['low'] == 0.5
    assert np.isnan(estimate(np.full(10, np.nan))['value'])


def draw(patients, slices, rng):
    """Slices with an effect that all slices of a patient share, as variable as their own noise."""
    truth = np.repeat(np.arange(patients) % 3, slices)
    effect = np.repeat(rng.normal(size=(patients, 3)), slices, axis=0)
    logits = 2 * np.eye(3)[truth] - 1 + effect + rng.normal(size=effect.shape)
    return Cases(np.arange(len(truth)).astype(str), truth, logits.argmax(1),
                 image_scores(logits), np.repeat(np.arange(patients), slices))


def figures(cases, weights):
    counts = count_figures(confusion_counts(cases, weights))
    auroc, _ = rank_figures(cases.truth == 0, cases.scores[:, 0], cases.cluster, weights)
    return dict(accuracy=counts['accuracy'], sensitivity=counts['sensitivity'][:, 0], auroc=auroc)


def coverage(sets, rounds, cluster_by_patient):
    """Share of simulated sets whose 95 % interval holds the true figure, by figure."""
    patients, slices, rng = 150, 4, np.random.default_rng(5)
    everyone = draw(60_000, slices, rng)
    true = {key: values[0]
            for key, values in figures(everyone, np.ones((1, 60_000), np.uint16)).items()}
    hits = dict.fromkeys(true, 0)
    for seed in range(sets):
        cases = draw(patients, slices, rng)
        if not cluster_by_patient:
            cases = replace(cases, cluster=np.arange(len(cases)))
        weights = resample_clusters(cases.cluster.max() + 1, rounds, seed)
        for key, values in figures(cases, weights).items():
            found = estimate(values)
            hits[key] += found['low'] <= true[key] <= found['high']
    return {key: count / sets for key, count in hits.items()}


@pytest.mark.slow
def test_coverage_on_clustered_slices():
    """If patients are drawn, 93 to 97 % of the intervals hold the true figure; if slices, fewer."""
    # 500 sets tell a share to 1 %, hence two standard errors beside the range; 1,500 sets with
    # 1,000 resamples each gave 93.9 % (accuracy), 94.8 % (sensitivity) and 93.8 % (AUROC)
    by_patient = coverage(500, 300, cluster_by_patient=True)
    assert all(0.91 <= share <= 0.99 for share in by_patient.values()), by_patient
    by_slice = coverage(100, 200, cluster_by_patient=False)
    assert all(share < 0.9 for share in by_slice.values()), by_slice
