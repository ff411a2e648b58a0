import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scan_class_utils import CLASSES, draw_scores, random_rule, random_slices

from mmcovid.scan_class import RULES, Slices, fit, relative_heights
from mmcovid.scan_class.fit import Bags, fit_rule, pooled_logits
from mmcovid.scan_class.load import LabelledScan, ScanSet
from mmcovid.scan_class.measure import figures_by_rule


def draw_set(sizes, seed=0, vectors=False):
    """Scans of three classes, few of whose slices are diseased."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(3, 6))
    scans = []
    for split, number in sizes.items():
        for i in range(number):
            scores = draw_scores(i % 3, rng)
            told = Slices(
                relative_heights(np.arange(len(scores))),
                scores,
                scores @ mixing if vectors else None,
            )
            scans.append(LabelledScan(f'{split}{i}', f'{split}{i}', i % 3, split, told))
    return ScanSet(scans, CLASSES, dict(weights='model.onnx'), 'lung', 1.0, [])


@pytest.fixture(scope='module', autouse=True)
def quick():
    """One candidate: to try all is a matter of time only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, 'WEIGHT_DECAYS', (0.1,))
        patch.setattr(fit, 'STARTS', 1)
        yield


@pytest.fixture(scope='module', params=['scores', 'vectors'])
def fitted(request, quick):
    scans = draw_set(dict(train=30, val=15, test=30), vectors=True)
    return fit_rule(scans, [request.param]), scans


def test_it_finds_what_the_mean_does_not(fitted):
    rule, scans = fitted
    figures = figures_by_rule(scans.of('test'), rule, normal=0, rounds=50)
    assert figures['mean']['mean'].value < 0.5
    assert figures['run']['normal'].value == 0  # of the errors that are in every scan
    assert figures['learned']['mean'].value > 0.9
    assert figures['learned']['auroc'].value > 0.95
    assert set(figures) == {*RULES, 'learned'}


def test_what_it_was_fitted_to_is_kept(fitted):
    rule, scans = fitted
    assert rule.fitted['weight_decay'] == 0.1
    assert rule.fitted['scans'] == dict(train=30, val=15, test=30)
    assert rule.fitted['nll_after'] <= rule.fitted['nll_before']
    assert (rule.classes, rule.region, rule.slice_temperature) == (CLASSES, 'lung', 1.0)


def test_the_candidate_that_suits_the_validation_scans_is_taken(monkeypatch):
    scans, tried = draw_set(dict(train=6, val=6), vectors=True), []

    def train(train, val, num_classes, weight_decay, seed):
        features = 'scores' if train.features.shape[2] == 1 + num_classes else 'vectors'
        tried.append((features, weight_decay))
        weights = fit._start(train, num_classes, torch.Generator())
        loss = abs(weight_decay - 2) + (features == 'vectors')
        return fit.Fit(loss, fit._rounded(weights), 0, weight_decay)

    monkeypatch.setattr(fit, 'WEIGHT_DECAYS', (1.0, 2.0, 3.0))
    monkeypatch.setattr(fit, '_train', train)
    rule = fit_rule(scans)
    assert sorted(tried) == [(name, x) for name in ('scores', 'vectors') for x in (1, 2, 3)]
    assert (rule.features, rule.fitted['weight_decay']) == ('scores', 2)
    assert rule.fitted['losses'] == dict(vectors=1, scores=0)


def test_the_test_split_has_no_part_in_it():
    sizes = dict(train=6, val=6)
    rules = [fit_rule(draw_set(sizes | more), ['scores']) for more in (dict(test=0), dict(test=12))]
    assert rules[0].temperature == rules[1].temperature
    for name, values in rules[0].weights.items():
        assert (values == rules[1].weights[name]).all()


@settings(deadline=None)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=4), st.integers(0, 2**32 - 1))
def test_scans_of_a_batch_are_as_if_alone(lengths, seed):
    """What fills a batch up counts for nothing, and PyTorch gives what NumPy does."""
    rng = np.random.default_rng(seed)
    rule = random_rule('vectors', rng)
    scans = [
        LabelledScan(str(i), str(i), 0, 'train', random_slices(number, rng))
        for i, number in enumerate(lengths)
    ]
    weights = {name: torch.from_numpy(values) for name, values in rule.weights.items()}
    found = pooled_logits(Bags.of(scans, 'vectors'), weights).numpy()
    wanted = [rule.logits(scan.slices)[0] for scan in scans]
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9)
