import os
import pickle
from functools import partial

import numpy as np
import pytest
import torch
from predictions_utils import simulate, simulate_lesions, write_dump, write_table

from mmcovid.analysis.evaluation.load import check_apart, check_same_slices, load_dump, slice_cases
from mmcovid.classes import Classes
from mmcovid.scan_class import RULES
from mmcovid.statistics.classification import unit_cases
from mmcovid.statistics.clusters import cluster_names, unit_names


def cases_of(dump):
    names, _ = cluster_names(dump.slices)
    clusters = {name: i for i, name in enumerate(sorted(set(names)))}
    return slice_cases(dump, {name: i for i, name in enumerate(dump.ids())}, clusters)


def test_dump_is_sorted_by_task_and_what_cannot_be_scored_is_counted(tmp_path):
    entries = simulate(6, 2) + simulate_lesions(2, 2)
    del entries[0]['gt_label'], entries[-1]['instances']
    dump = load_dump(write_dump(tmp_path / 'a.pkl', entries))
    assert (len(dump.slices), len(dump.lesions)) == (11, 3)
    assert list(dump.left_out.values()) == [1, 1]
    assert any('true lesions' in reason for reason in dump.left_out)
    cases = cases_of(dump)
    assert cases.scores[3] == pytest.approx(entries[4]['pred_score'])
    assert np.array_equal(dump.logits()[3], entries[4]['pred_logits'])
    found, expected = (e['pred_instances']['scores'] for e in (dump.lesions[0], entries[12]))
    assert torch.equal(found, expected)


def test_dump_tells_its_classes(tmp_path):
    entries = simulate(3, 1)
    assert load_dump(write_dump(tmp_path / 'old.pkl', entries)).classes == Classes.of()
    told = dict(palette=[(1, 2, 3)] * 2, roles=dict(chest='lung'), display_names=dict(cp='CAP'))
    for entry in entries:
        entry.update(told, lesion_classes=('chest', 'ggo'))
    classes = load_dump(write_dump(tmp_path / 'new.pkl', entries)).classes
    assert classes == Classes.of(lesions=('chest', 'ggo'), **told)
    assert classes.is_lung(0) and classes.display('cp') == 'CAP'
    entries[0].update(lesion_classes=('ggo', 'ggo'))
    with pytest.raises(ValueError, match='wrong.pkl: classes .* a name occurs twice'):
        load_dump(write_dump(tmp_path / 'wrong.pkl', entries))


def test_models_may_call_and_colour_their_classes_as_they_like(tmp_path):
    one = load_dump(write_dump(tmp_path / 'one.pkl', entries := simulate(3, 1)))
    for entry in entries:
        entry.update(palette=[(1, 2, 3)] * 3, display_names=dict(cp='CAP'))
    check_same_slices([one, load_dump(write_dump(tmp_path / 'other.pkl', entries))])
    for entry in entries:
        entry.update(image_classes=('normal', 'cap', 'covid19'))
    with pytest.raises(ValueError, match='renamed.pkl has other classes than .*one.pkl'):
        check_same_slices([one, load_dump(write_dump(tmp_path / 'renamed.pkl', entries))])


class Bomb:
    def __reduce__(self):
        return os.mkdir, ('exploded',)


def test_pickle_with_code_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    entries = simulate(3, 1)
    entries[0]['scan_id'] = Bomb()
    with pytest.raises(ValueError, match='could run code'):
        load_dump(write_dump(tmp_path / 'a.pkl', entries))
    assert not (tmp_path / 'exploded').exists()


@pytest.mark.parametrize(
    'change, message',
    [
        (dict(pred_score=torch.tensor([0.5, 0.5])), '2 scores for the classes'),
        (dict(pred_score=torch.tensor([0.5, torch.nan, 0.5])), 'not finite'),
        (dict(gt_label=torch.tensor([3])), 'gt_label must be one of 0..2'),
        (dict(pred_label=None), 'pred_label must be one of'),
        (dict(img_id='0_p0_s0_0.png'), 'occur twice, 1: 0_p0_s0_0.png'),
    ],
)
def test_broken_entries_are_named(tmp_path, change, message):
    entries = simulate(3, 2)
    entries[1].update(change)
    with pytest.raises(ValueError, match=f'a.pkl.*{message}'):
        load_dump(write_dump(tmp_path / 'a.pkl', entries))


@pytest.mark.parametrize('content', [b'', b'no pickle', pickle.dumps(dict(a=1)), pickle.dumps([])])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / 'a.pkl').write_bytes(content)
    with pytest.raises(ValueError, match='a.pkl.*mmcovid test --out'):
        load_dump(tmp_path / 'a.pkl')
    with pytest.raises(FileNotFoundError, match=r'b\.pkl: no such file'):
        load_dump(tmp_path / 'b.pkl')


def test_models_must_be_tested_on_the_same(tmp_path):
    entries = simulate(6, 2) + simulate_lesions(2, 2)
    one, same = (
        load_dump(write_dump(tmp_path / f'{i}.pkl', entries[::step]))
        for i, step in enumerate((1, -1))
    )
    check_same_slices([one, same])
    fewer = load_dump(write_dump(tmp_path / 'fewer.pkl', entries[1:]))
    with pytest.raises(ValueError, match=f'fewer.pkl has, 1: {entries[0]["img_id"]}'):
        check_same_slices([one, fewer])
    entries[0]['gt_label'] = torch.tensor([2])
    other = load_dump(write_dump(tmp_path / 'other.pkl', entries))
    with pytest.raises(ValueError, match='disagree on the truth of 1: 0_p0_s0_0'):
        check_same_slices([one, other])


def test_a_table_of_scores_is_a_dump_of_them(tmp_path):
    entries = simulate(6, 2) + simulate_lesions(2, 2)
    dump = load_dump(write_dump(tmp_path / 'dump.pkl', entries))
    table = load_dump(write_table(tmp_path / 'table.csv', dump.slices))
    check_same_slices([table, dump])  # who segments may stand beside who does not
    check_same_slices([dump, table])
    assert table.classes == Classes.of() and not table.lesions
    found, expected = cases_of(table), cases_of(dump)
    for part in ('ids', 'truth', 'pred', 'cluster'):
        assert np.array_equal(getattr(found, part), getattr(expected, part))
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-6)
    np.testing.assert_allclose(table.scores_at(table.logits(), 1.0), found.scores, atol=1e-5)
    colder = table.scores_at(table.logits(), 0.5)
    assert (colder.max(1) >= found.scores.max(1) - 1e-9).all()


HEAD = 'img_id,class,normal,cp,covid19'


@pytest.mark.parametrize(
    'text, message',
    [
        ('img_id,normal,cp\na,0.5,0.5', 'needs a line of columns, img_id, class and one for'),
        ('img_id,class,cp\na,cp,1', 'needs a line of columns'),
        (f'{HEAD},cp\na,cp,0,1,0,0', 'needs a line of columns'),
        (HEAD, 'has no slice'),
        ('', 'needs a line of columns'),
        (f'{HEAD}\na,cp,0,1,0\nb,flu,0,1,0', "line 3: class 'flu' must be one of normal, cp"),
        (f'{HEAD}\na,cp,0,1', 'line 2 has fewer or more values'),
        (f'{HEAD}\na,cp,0,1,0,0', 'line 2 has fewer or more values'),
        (f'{HEAD}\n,cp,0,1,0', 'line 2 .* no img_id'),
        (f'{HEAD}\na,cp,0,x,0', 'line 2: a score is no number'),
        (f'{HEAD}\na,cp,0,nan,0', 'line 2: scores must be of 0 to 1'),
        (f'{HEAD}\na,cp,-3,2.5,1.5', 'line 2: scores must be of 0 to 1'),
        (f'{HEAD}\na,cp,0,1,0\na,cp,0,1,0', 'slices that occur twice, 1: a'),
        ('\udcff', 'is no CSV file in UTF-8'),
    ],
)
def test_other_tables_are_refused(tmp_path, text, message):
    path = tmp_path / 'table.csv'
    path.write_text(text, encoding='utf-8', errors='surrogateescape')
    with pytest.raises(ValueError, match=f'table.csv: {message}'):
        load_dump(path)


def test_unknown_patients_are_patients_of_their_own():
    entries = [
        dict(img_id=i, patient_id=p, scan_id=s)
        for i, (p, s) in enumerate(
            [('7', '1'), ('7', '2'), ('unknown', '3'), ('unknown', '3'), (None, 'unknown')]
        )
    ]
    names, without_patient = cluster_names(entries)
    assert names.tolist() == ['7', '7', 'scan 3', 'scan 3', 'slice 4']
    assert without_patient == 3
    assert unit_names(entries, 'scan').tolist()[:2] == ['7 / 1', '7 / 2']
    assert unit_names(entries, 'patient').tolist()[:2] == ['7', '7']


def test_units_by_hand(tmp_path):
    entries = simulate(2, 3)
    scores = [
        [0.6, 0.3, 0.1],
        [0.3, 0.4, 0.3],
        [0.35, 0.4, 0.25],
        [0.1, 0.1, 0.8],
        [0.2, 0.3, 0.5],
        [0.1, 0.2, 0.7],
    ]
    for entry, score in zip(entries, scores):
        entry['pred_score'] = torch.tensor(score)
        entry['pred_label'] = torch.tensor([int(np.argmax(score))])
    entries[4]['gt_label'] = torch.tensor([0])  # the patient's others are 1
    dump = load_dump(write_dump(tmp_path / 'a.pkl', entries))
    slices, units = cases_of(dump), unit_names(dump.slices, 'patient')
    mean, mixed = unit_cases(slices, units, partial(RULES['mean'], normal=0))
    assert mixed == 1 and mean.truth.tolist() == [0, 1]
    assert mean.scores[0] == pytest.approx([1.25 / 3, 1.1 / 3, 0.65 / 3])
    assert mean.pred.tolist() == [0, 2]
    vote, _ = unit_cases(slices, units, partial(RULES['vote'], normal=0))
    assert vote.scores[0] == pytest.approx([1 / 3, 2 / 3, 0]) and vote.pred[0] == 1
    most, _ = unit_cases(slices, units, partial(RULES['max'], normal=0))
    assert most.scores[0] == pytest.approx(np.array([0.6, 0.4, 0.3]) / 1.3)


def test_validation_set_must_have_other_patients(tmp_path):
    test = load_dump(write_dump(tmp_path / 'test.pkl', simulate(4, 2)))
    with pytest.raises(ValueError, match='share slices, 8'):
        check_apart(test, test)
    entries = simulate(4, 2)
    for entry in entries:
        entry['img_id'] = f'val {entry["img_id"]}'
    with pytest.raises(ValueError, match='share patients, 4: p0, p1'):
        check_apart(load_dump(write_dump(tmp_path / 'val.pkl', entries)), test)
