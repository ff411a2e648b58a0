"""What decisions lead to, on simulated predictions of which the right answer is known."""

import csv
import json

import numpy as np
import pytest
from predictions_utils import simulate, write_dump

from mmcovid.analysis.evaluation import (
    Settings,
    compute,
    load_models,
    load_validation,
    write_report,
)
from mmcovid.analysis.evaluation.decisions import ANY_DISEASE, outcomes
from mmcovid.classes import Classes
from mmcovid.scan_class import DecisionRules
from mmcovid.statistics.calibration import coverage_curve

STATED = 'normal=0.9,cp=0.07,covid19=0.03'


def rare_diseases(entries, one_in=6):
    """Of the patients with a disease keep one of some."""
    return [
        entry
        for entry in entries
        if entry['gt_label'][0] == 0 or int(entry['patient_id'][1:]) // 3 % one_in == 0
    ]


@pytest.fixture(scope='module')
def dumps(tmp_path_factory):
    """Validation patients, 50 of each class, and a test set of 100 normal and 34 other ones."""
    folder = tmp_path_factory.mktemp('decisions')
    held_out = simulate(150, 3, skill=2.5, sharpness=3, seed=1)
    for entry in held_out:
        entry.update(img_id=f'val {entry["img_id"]}', patient_id=f'val {entry["patient_id"]}')
    test = rare_diseases(simulate(300, 3, skill=2.5, sharpness=3))
    return write_dump(folder / 'm.pkl', test), write_dump(folder / 'val.pkl', held_out)


def evaluate(dumps, held_out=True, **settings):
    models = load_models([str(dumps[0])])
    validation = load_validation(models, [str(dumps[1])]) if held_out else None
    return compute(models, Settings(**dict(dict(rounds=100, gallery=0), **settings)), validation)


@pytest.fixture(scope='module')
def results(dumps):
    """Of a report that is written beside the test set, into ``out``."""
    models = load_models([str(dumps[0])])
    return write_report(
        models,
        dumps[0].parent / 'out',
        Settings(rounds=100, gallery=0, prevalence=STATED),
        load_validation(models, [str(dumps[1])]),
    )


def test_prevalence_is_estimated_without_the_truth(results):
    found = results.report.prevalence['m']
    assert [each.test for each in found] == pytest.approx([100 / 134, 17 / 134, 17 / 134])
    assert [each.validation for each in found] == pytest.approx([1 / 3] * 3)
    for how in ('by_counts', 'by_em'):
        estimates = [getattr(each, how) for each in found]
        assert sum(each.value for each in estimates) == pytest.approx(1)
        for each, estimate in zip(found, estimates):
            assert 0 <= estimate.low <= each.test <= estimate.high <= 1
            assert estimate.value == pytest.approx(each.test, abs=0.12)
    # what is predicted is nearer to the shares that the model was calibrated on
    assert found[0].predicted.high < found[0].test


def test_estimated_prevalence_can_be_taken_for_the_stated_one(dumps, results):
    report = evaluate(dumps, prevalence='em', rounds=20).report
    expected = [each.by_em.value for each in results.report.prevalence['m']]
    assert report.stated_prevalence['m'] == pytest.approx(expected)


def test_predictive_values_follow_from_the_errors(results):
    report = results.report
    matrix = np.array(report.confusion['patient']['m'])
    rates = matrix / matrix.sum(1, keepdims=True) * np.array([[0.9], [0.07], [0.03]])
    found = report.predictive_values['m'].as_predicted
    assert found['covid19_ppv'].value == pytest.approx(rates[2, 2] / rates[:, 2].sum())
    assert found['normal_npv'].value == pytest.approx(rates[1:, 1:].sum() / rates[:, 1:].sum())
    assert found['accuracy'].value == pytest.approx(np.trace(rates))
    assert all(each.low <= each.value <= each.high for each in found.values())
    corrected = report.predictive_values['m'].corrected
    assert corrected['accuracy'].low > found['accuracy'].high
    assert corrected['covid19_ppv'].value > found['covid19_ppv'].value


def test_decision_curves(results, dumps):
    report = results.report
    assert list(report.net_benefit) == ['cp', 'covid19', ANY_DISEASE]
    for outcome, share in (('cp', 0.07), ('covid19', 0.03), (ANY_DISEASE, 0.1)):
        for point in report.net_benefit[outcome]['m']:
            odds = point.threshold / (1 - point.threshold)
            assert point.treat_all == pytest.approx(share - odds * (1 - share))
            assert point.net_benefit.low <= point.net_benefit.value <= point.net_benefit.high
            default = max(point.treat_all, 0)
            assert point.gain.value == pytest.approx(point.net_benefit.value - default)
    assert report.net_benefit[ANY_DISEASE]['m'][9].gain.low > 0  # at the odds of the prevalence
    own = evaluate(dumps, rounds=20).report.net_benefit['covid19']['m'][0]
    assert own.treat_all == pytest.approx(17 / 134 - 117 / 134 / 99)


def test_a_positive_that_is_never_false_is_not_taken_for_certain(tmp_path):
    """No error in 10 patients of each class tells little of one case in a hundred."""
    dump = write_dump(tmp_path / 'm.pkl', simulate(30, 3, skill=20))
    settings = dict(prevalence='normal=0.98,cp=0.01,covid19=0.01', held_out=False)
    report = evaluate([dump], **settings).report
    found = report.predictive_values['m'].as_predicted['covid19_ppv']
    assert found.value == 1 == found.high and found.low < 0.1
    accuracy = report.predictive_values['m'].as_predicted['accuracy']
    assert accuracy.value == 1 == accuracy.high and 0.5 < accuracy.low < 0.8
    assert report.predictive_values['m'].corrected is None
    point = report.net_benefit['covid19']['m'][49]
    assert point.net_benefit.value == pytest.approx(0.01) and point.net_benefit.low < -0.2


def test_sets_hold_the_classes_as_often_as_asked_for(results):
    for level, found in results.report.prediction_sets.items():
        for each in found['m'].classes:
            # by theory 0.9 in the mean of all draws of 50 validation patients, with an SD of 0.04
            assert each.coverage.value == pytest.approx(0.9, abs=0.1), level
            assert each.patients == 50 and each.cases == (50 if level == 'patient' else 150)
        assert 1 <= found['m'].size.value < 2


def test_thresholds_are_chosen_on_the_validation_set(results, dumps):
    held_out = evaluate([dumps[1]], held_out=False, rounds=20).deciding['patient']['val']
    assert results.report.calibration['m'][0].temperature > 1.5
    chosen = [row.threshold for row in results.report.abstention['patient']['m']]
    uncalibrated = [coverage_curve(held_out).threshold_at(share) for share in (1.0, 0.95, 0.9)]
    assert all(one < other for one, other in zip(chosen, uncalibrated))
    alone = evaluate(dumps, held_out=False, rounds=20).report.abstention['patient']['m']
    assert alone[0].kept == 134 and alone[0].coverage.value == 1
    assert chosen != [row.threshold for row in alone]


def test_rules_that_are_written_decide_as_the_report(dumps, results):
    out = dumps[0].parent / 'out'
    rules = DecisionRules.read(out / 'decision_rules.json', STATED)
    cases = results.deciding['patient']['m']
    held = np.mean(
        ['covid19' in rules.prediction_set(scores) for scores in cases.scores[cases.truth == 2]]
    )
    report = json.loads((out / 'report.json').read_text())
    sets = report['prediction_sets']['patient']['m']['classes']
    assert held == sets[2]['coverage']['value']
    corrected = np.array([rules.correct(scores) for scores in cases.scores]).argmax(1)
    sensitivity = np.mean(corrected[cases.truth == 2] == 2)
    values = report['predictive_values']['m']['corrected']
    assert sensitivity == pytest.approx(values['covid19_sensitivity']['value'])
    with open(out / 'decisions.csv', newline='', encoding='utf-8') as file:
        rows = list(csv.DictReader(file))
    assert {row['part'] for row in rows} == {
        'selective risk',
        'prevalence',
        'at the stated prevalence, as_predicted',
        'at the stated prevalence, corrected',
        'decision curve',
        'prediction sets',
    }


def test_prevalence_that_cannot_be_known(dumps):
    for how in ('em', 'counts'):
        with pytest.raises(ValueError, match=f'prevalence {how}: is estimated by the errors'):
            evaluate(dumps, held_out=False, prevalence=how)
    with pytest.raises(ValueError, match='give each class once'):
        evaluate(dumps, prevalence='normal=1')


def test_test_set_that_lacks_a_class_of_the_stated_prevalence(tmp_path):
    entries = [entry for entry in simulate(30, 3) if entry['gt_label'][0] != 1]
    dump = write_dump(tmp_path / 'm.pkl', entries)
    report = evaluate([dump], held_out=False, prevalence=STATED, rounds=20).report
    assert np.isnan(report.predictive_values['m'].as_predicted['covid19_ppv'].value)
    assert any('The set has no patient of Pneumonia (CP)' in note for note in report.notes)
    without = evaluate(
        [dump], held_out=False, prevalence='normal=0.9,cp=0,covid19=0.1', rounds=20
    ).report
    assert 0 < without.predictive_values['m'].as_predicted['covid19_ppv'].value <= 1


def test_what_can_be_acted_on():
    two = Classes.of(images=('normal', 'ill'))
    assert {name: row.tolist() for name, row in outcomes(two).items()} == dict(ill=[False, True])
    without = Classes.of(images=('a', 'b'))
    assert list(outcomes(without)) == ['a', 'b']
