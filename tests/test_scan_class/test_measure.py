import numpy as np
import pytest
from scan_class_utils import CLASSES, draw_scores, random_rule, random_slices

from mmcovid.scan_class import LearnedRule, Slices, relative_heights
from mmcovid.scan_class.load import LabelledScan
from mmcovid.scan_class.measure import DELETED, deletion_drops, deletion_figures, figures_by_rule


def scans_of(labels, patients):
    rng = np.random.default_rng(0)
    return [
        LabelledScan(str(i), patient, label, 'test', Slices(np.zeros(20), draw_scores(label, rng)))
        for i, (label, patient) in enumerate(zip(labels, patients))
    ]


def pneumonia_rule(sharpness):
    """A rule that weighs slices of common pneumonia, and tells it from normal by them."""
    weights = dict(
        mean=[0, 0, 0, 0],
        scale=[1, 1, 1, 1],
        embed=[[-1, 1, 0, 0]],
        embed_bias=[0],
        key=[[5]],
        gate=[[0]],
        query=[sharpness],
        classify=[[-3], [3], [0]],
        classify_bias=[0, 0, -5],
    )
    weights = {name: np.array(values, float) for name, values in weights.items()}
    return LearnedRule('scores', CLASSES, 'lung', 1.0, 1.0, weights)


def pneumonia_scans(number, rng):
    """Ten slices each, one of which is diseased."""
    scans = []
    for i in range(number):
        scores = np.tile([0.9, 0.05, 0.05], (10, 1))
        scores[rng.integers(10)] = [0.05, 0.9, 0.05]
        told = Slices(relative_heights(np.arange(10)), scores)
        scans.append(LabelledScan(str(i), str(i), 1, 'test', told))
    return scans


def test_dropping_what_has_all_the_weight_changes_the_score():
    scans = pneumonia_scans(30, np.random.default_rng(0))
    rule = pneumonia_rule(sharpness=20)
    assert rule(scans[0].slices)[0].argmax() == 1
    found = deletion_figures(scans, rule, rounds=50)
    assert found['heaviest'].value > 0.85
    assert found['random'].value == pytest.approx(found['heaviest'].value / 10, abs=0.05)
    assert found['difference'].low > 0.5


def test_weights_that_are_equal_tell_nothing():
    rng = np.random.default_rng(0)
    found = deletion_figures(pneumonia_scans(30, rng), pneumonia_rule(sharpness=0), rounds=50)
    assert abs(found['difference'].value) < 0.05


def test_a_single_slice_is_not_dropped():
    rng = np.random.default_rng(0)
    assert deletion_drops(random_rule('scores', rng), random_slices(1, rng), rng) == (0, 0)
    assert 0 < DELETED < 1


def test_figures_are_of_patients():
    """Two scans of each patient tell no more than one."""
    rule = random_rule('scores', np.random.default_rng(0))
    labels, names = [0, 1, 2] * 8, [f'p{i}' for i in range(24)]
    once = figures_by_rule(scans_of(labels, names), rule, 0, rounds=200)['share']
    scans = scans_of(labels, names)
    twice = figures_by_rule(scans + scans, rule, 0, rounds=200)['share']
    for name, figure in once.items():
        assert twice[name].value == pytest.approx(figure.value)
        assert twice[name].low == pytest.approx(figure.low, abs=0.02)


def test_figures_without_a_normal_class():
    rule = random_rule('scores', np.random.default_rng(0))
    found = figures_by_rule(scans_of([0, 1, 2], 'abc'), rule, None, rounds=20)
    assert set(found['learned']) == {'normal', 'cp', 'covid19', 'mean'}
