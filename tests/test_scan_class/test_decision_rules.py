import json

import numpy as np
import pytest

from mmcovid.scan_class import DecisionRules

NAMES = ('normal', 'cp', 'covid19')
RULES = dict(
    temperature=1.5,
    aggregate='mean',
    unit_temperature=0.5,
    prior=dict(normal=0.25, cp=0.25, covid19=0.5),
    set_coverage=0.9,
    set_thresholds=dict(normal=0.5, cp=0.2, covid19=0.3),
)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / 'decision_rules.json'
    path.write_text(json.dumps(dict(lstm2=RULES)))
    return path


def test_rules_of_a_file(file):
    rules = DecisionRules.read(file)
    assert rules == DecisionRules(**RULES)
    scores = np.array([0.49, 0.2, 0.31])
    assert rules.prediction_set(scores) == ('cp', 'covid19')
    assert rules.prediction_set(np.array([0.4, 0.1, 0.1])) == ()
    assert rules.correct(scores) is scores
    rules.check(NAMES, 'mean')


def test_scores_at_a_prevalence(file):
    rules = DecisionRules.read(file, 'normal=0.8,cp=0.1,covid19=0.1')
    assert rules.prevalence == dict(normal=0.8, cp=0.1, covid19=0.1)
    found = rules.correct(np.array([0.3, 0.1, 0.6]))
    likely = np.array([0.09, 0.01, 0.36]) * [0.8 / 0.25, 0.1 / 0.25, 0.1 / 0.5]  # 1 / 0.5: squares
    assert found == pytest.approx(likely / likely.sum())
    # the sets hold at any prevalence, so they are of scores as they were
    scores = np.array([0.3, 0.1, 0.6])
    assert rules.prediction_set(scores) == DecisionRules.read(file).prediction_set(scores)


def test_rules_of_another_model_are_refused(file):
    rules = DecisionRules.read(file)
    with pytest.raises(ValueError, match='of the classes normal, cp, covid19, the model has a, b'):
        rules.check(('a', 'b'), 'mean')
    with pytest.raises(ValueError, match='Give --aggregate mean, or report again'):
        rules.check(NAMES, 'top')


@pytest.mark.parametrize(
    'text, message',
    [
        ('[]', 'is no decision_rules.json of a report'),
        ('{"m": {"temperature": 1}}', 'is no decision_rules.json of a report'),
        ('torn', 'is no decision_rules.json of a report'),
        (json.dumps(dict(a=RULES, b=RULES)), r'holds the rules of 2 models \(a, b\)'),
    ],
)
def test_file_that_holds_no_rules_of_one_model(file, text, message):
    file.write_text(text)
    with pytest.raises(ValueError, match=message):
        DecisionRules.read(file)
    with pytest.raises(FileNotFoundError, match='no such decision rules. Make one by'):
        DecisionRules.read(file.with_name('other.json'))


def test_prevalence_of_a_class_without_validation_cases(file):
    prior = dict(normal=0.5, cp=0.0, covid19=0.5)
    file.write_text(json.dumps(dict(lstm2=dict(RULES, prior=prior))))
    with pytest.raises(ValueError, match='has no case in the validation set'):
        DecisionRules.read(file, 'normal=0.8,cp=0.1,covid19=0.1')
    assert DecisionRules.read(file, 'normal=0.9,cp=0,covid19=0.1').prevalence['cp'] == 0
