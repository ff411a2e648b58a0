import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from no_stack import run_without_stack
from scan_class_utils import CLASSES, random_rule, random_slices

from mmcovid.scan_class import LearnedRule, choose_rule, relative_heights


@settings(deadline=None)
@given(st.integers(1, 30), st.integers(0, 2**32 - 1), st.sampled_from(['vectors', 'scores']))
def test_the_order_of_the_slices_does_not_matter(number, seed, features):
    rng = np.random.default_rng(seed)
    rule, slices = random_rule(features, rng), random_slices(number, rng)
    order = rng.permutation(number)
    scores, weights = rule(slices)
    assert scores.shape == (3,) and scores.sum() == pytest.approx(1)
    assert weights.shape == (number,) and weights.sum() == pytest.approx(1)
    again, moved = rule(slices.take(order))
    assert again == pytest.approx(scores)
    assert moved == pytest.approx(weights[order])


def test_weights_tell_what_the_class_was_read_from():
    """Slices whose weight is nothing can be left out."""
    rng = np.random.default_rng(0)
    rule, slices = random_rule('vectors', rng), random_slices(12, rng)
    rule.weights['query'][:] *= 1000
    scores, weights = rule(slices)
    heavy = np.flatnonzero(weights > 1e-9)
    assert 0 < len(heavy) < 12
    assert rule(slices.take(heavy))[0] == pytest.approx(scores)


@given(st.integers(0, 50), st.integers(1, 50))
def test_heights(first, number):
    index = np.arange(first, first + number)
    heights = relative_heights(index)
    assert heights == pytest.approx(-heights[::-1])
    assert number == 1 or (heights[0], heights[-1]) == (-1, 1)
    # a slice that could not be read leaves the others where they are
    kept = np.unique([0, number // 2, number - 1])
    assert relative_heights(index[kept]) == pytest.approx(heights[kept])


def test_what_is_saved_gives_the_same(tmp_path):
    rng = np.random.default_rng(0)
    rule, slices = random_rule('vectors', rng), random_slices(7, rng)
    rule.save(tmp_path / 'rule.json')
    loaded = LearnedRule.load(tmp_path / 'rule.json')
    for found, wanted in zip(loaded(slices), rule(slices)):
        assert (found == wanted).all()
    assert (loaded.classes, loaded.region) == (CLASSES, 'lung')


def broken(**changes):
    plain = random_rule('scores', np.random.default_rng(0)).to_plain()
    weights = changes.pop('weights', {})
    return json.dumps({**plain, **changes, 'weights': {**plain['weights'], **weights}})


@pytest.mark.parametrize(
    'text, message',
    [
        ('{', 'rule.json: '),
        ('[' * 100_000, 'rule.json: '),
        ('[1]', 'the learned rule is broken'),
        (broken(schema_version=2), 'a newer mmcovid'),
        (broken(features='colours'), "reads 'colours'"),
        (broken(temperature=0), 'a temperature is not above 0'),
        (broken(classes=['a', 'b']), r'classify has the shape \(3, '),
        (broken(weights=dict(query=[[1.0]])), 'query has the shape'),
        (broken(weights=dict(query=[float('nan')] * 2)), 'a weight is not finite'),
        (broken(weights=dict(query='x')), 'the learned rule is broken'),
        (broken(weights=dict(scale=[0.0] * 4)), 'a scale is not above 0'),
    ],
)
def test_a_broken_file_is_told(tmp_path, text, message):
    (tmp_path / 'rule.json').write_text(text)
    with pytest.raises(ValueError, match=message):
        LearnedRule.load(tmp_path / 'rule.json')


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match='Write it by mmcovid scan-class'):
        LearnedRule.load(tmp_path / 'rule.json')


def test_a_rule_for_other_classes_is_told():
    plain = random_rule('scores', np.random.default_rng(0)).to_plain()
    with pytest.raises(ValueError, match='it is for the classes normal, cp, covid19'):
        LearnedRule.from_plain(plain, ('a', 'b', 'c'))


def test_slices_of_another_model_are_told():
    rng = np.random.default_rng(0)
    rule = random_rule('vectors', rng)
    with pytest.raises(ValueError, match='fitted to 5 numbers of each slice, and .* gives 9'):
        rule(random_slices(3, rng, size=9))
    with pytest.raises(ValueError, match='reads image vectors, which this model does not give'):
        rule(random_slices(3, rng, size=0))


def test_default():
    rule = random_rule('scores', np.random.default_rng(0))
    assert choose_rule(None, None) == 'mean'
    assert choose_rule(None, rule) == 'learned'
    assert choose_rule('run', rule) == 'run'


def test_applying_it_needs_no_stack():
    done = run_without_stack('from mmcovid.scan_class import LearnedRule')
    assert done.returncode == 0, done.stderr
