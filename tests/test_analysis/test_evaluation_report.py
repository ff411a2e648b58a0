"""Whole reports on simulated predictions."""

import csv
import json
import re
from dataclasses import asdict
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest
from predictions_utils import simulate, simulate_lesions, write_dump, write_table

from mmcovid.analysis.evaluation import (
    Settings,
    compute,
    load_models,
    load_validation,
    write_report,
)
from mmcovid.analysis.evaluation.checklist import CLAIM, TRIPOD_AI
from mmcovid.analysis.evaluation.subgroups import EMPTY, UNLISTED, group_slices, read_metadata
from mmcovid.results import Estimate


def as_validation(entries):
    for entry in entries:
        entry.update(img_id=f'val {entry["img_id"]}', patient_id=f'val {entry["patient_id"]}')
    return entries


def rows(path):
    with open(path, newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


class Page(HTMLParser):
    """Checks that tags close, and collects what a browser would fetch."""

    def __init__(self, text):
        super().__init__()
        self.open, self.sources, self.text = [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        if tag not in ('meta', 'img'):
            self.open.append(tag)
        self.sources += [value for key, value in attrs if key in ('src', 'href')]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope='module')
def report(tmp_path_factory):
    """A report on two models, one of them with two runs, with all options."""
    folder = tmp_path_factory.mktemp('report')
    files = {}
    for name, model, skill in (('a0', 0, 1.5), ('a1', 1, 1.5), ('b', 2, 2.5)):
        test = simulate(30, 6, skill, sharpness=3, model=model) + simulate_lesions(model=model)
        for entry in test[12:]:  # the first two patients have no pictures
            entry['img_path'] = str(folder / 'slice.png')
        files[name] = write_dump(folder / f'{name}.pkl', test)
        files[f'{name}_val'] = write_dump(
            folder / f'{name}_val.pkl',
            as_validation(simulate(30, 6, skill, sharpness=3, seed=1, model=model)),
        )
    cv2.imwrite(str(folder / 'slice.png'), np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) * 9)
    with open(folder / 'meta.csv', 'w', encoding='utf-8') as file:
        file.write('patient_id,sex,age\n')
        file.writelines(f'p{i},{"f" if i % 2 else "m"},{30 + i}\n' for i in range(28))
    models = load_models(
        [f'attention={files["a0"]}', f'attention={files["a1"]}', f'<lstm>={files["b"]}']
    )
    validation = load_validation(models, [files[f'{name}_val'] for name in ('a0', 'a1', 'b')])
    settings = Settings(
        rounds=200,
        abstain_below=0.6,
        prevalence='normal=0.9,cp=0.07,covid19=0.03',
        metadata=str(folder / 'meta.csv'),
        subgroups=['sex', 'age'],
        gallery=4,
    )
    for out in ('one', 'two'):
        results = write_report(models, folder / out, settings, validation)
    return folder, results


def test_files(report):
    folder, _ = report
    written = sorted(
        str(path.relative_to(folder / 'one'))
        for path in (folder / 'one').rglob('*')
        if path.is_file()
    )
    curves = ('decision_curves', 'precision_recall', 'reliability', 'risk_coverage', 'roc')
    assert written == sorted(
        [
            'checklists.csv',
            'decision_rules.json',
            'decisions.csv',
            'differences.csv',
            'figures.csv',
            'report.html',
            'report.json',
            'subgroups.csv',
            'temperature.json',
            *(f'figures/{name}.{suffix}' for name in curves for suffix in ('svg', 'png')),
        ]
    )


def test_no_folder_of_the_machine_is_told(report):
    folder, _ = report
    told = json.loads((folder / 'one' / 'report.json').read_text())
    assert told['settings']['metadata'] == 'meta.csv'
    paths = {error['path'] for found in told['errors'].values() for error in found}
    assert f'{folder.name}/slice.png' in paths
    for path in (folder / 'one').rglob('*'):
        assert path.is_dir() or str(folder).encode() not in path.read_bytes(), path


def test_same_seed_same_files(report):
    folder, _ = report
    for path in (folder / 'one').rglob('*'):
        if path.is_file():
            first = path.read_bytes()
            second = (folder / 'two' / path.relative_to(folder / 'one')).read_bytes()
            assert first.replace(b'Evaluation: one', b'Evaluation: two') == second, path


def test_page_needs_nothing_else(report):
    folder, _ = report
    text = (folder / 'one' / 'report.html').read_text(encoding='utf-8')
    page = Page(text)
    assert page.sources and all(s.startswith(('#', 'data:image/')) for s in page.sources)
    assert 'http' not in text.replace('http-equiv', '')
    assert '<lstm>' not in text and '<lstm>' in ''.join(page.text)
    for part in ('Summary', 'Lesions', 'Comparison'):
        section = text.split(f'<h2>{part}</h2>')[1].split('<h2>')[0]
        assert 'COCO AP' in section and 'AP per slice' in section
    for name in (
        'Comparison',
        'Calibration',
        'Abstention',
        'Prevalence',
        'Decision curves',
        'Prediction sets',
        'Subgroups',
        'Errors',
        'Lesion errors',
        'Checklists',
    ):
        assert f'<h2>{name}</h2>' in text
    assert text.count('<figure class="error">') == 8


def test_figures_are_means_over_runs_and_differences_are_paired(report):
    folder, results = report
    table = {(r['level'], r['model'], r['figure']): r for r in rows(folder / 'one/figures.csv')}
    data = json.loads((folder / 'one/report.json').read_text(encoding='utf-8'))
    for level, key in (
        ('slice', 'accuracy'),
        ('patient', 'macro_auroc'),
        ('lesion', 'mAP'),
        ('lesion', 'per_image_mAP'),
    ):
        one, other = (table[level, name, key] for name in ('attention', '<lstm>'))
        assert float(one['low']) <= float(one['value']) <= float(one['high'])
        assert float(one['sd_of_runs']) > 0 and not other['sd_of_runs']
        difference = data['differences'][level]['<lstm>'][key]
        assert difference['value'] == pytest.approx(float(other['value']) - float(one['value']))
    models = load_models([str(folder / 'a0.pkl'), str(folder / 'a1.pkl')])
    alone = compute(models, Settings(rounds=10)).report
    both = [alone.figures['slice'][name]['accuracy'].value for name in ('a0', 'a1')]
    assert float(table['slice', 'attention', 'accuracy']['value']) == pytest.approx(np.mean(both))
    # a model that does not differ has no difference, with certainty
    twice = load_models([f'x={folder / "b.pkl"}', f'y={folder / "b.pkl"}'])
    same = compute(twice, Settings(rounds=10)).report
    assert same.differences['slice']['y']['accuracy'] == Estimate(0, 0, 0)
    assert same.calibration['x'][0].temperature is None and not same.is_calibrated


def test_temperatures_are_those_of_the_validation_set(report):
    folder, results = report
    saved = json.loads((folder / 'one/temperature.json').read_text(encoding='utf-8'))
    assert [run['file'] for run in saved['attention']] == ['a0_val.pkl', 'a1_val.pkl']
    assert all(1.3 < run['temperature'] < 5 for runs in saved.values() for run in runs)
    assert all(run['nll_after'] < run['nll_before'] for runs in saved.values() for run in runs)
    confidence = [
        cases['slice']['attention'].scores.max() for cases in (results.cases, results.deciding)
    ]
    assert confidence[1] < confidence[0]


@pytest.mark.parametrize(
    'skill, why',
    [(30, 'hardly a slice is classified wrongly'), (-30, 'the classes are no better than chance')],
)
def test_validation_set_that_fits_no_temperature(tmp_path, skill, why):
    test = write_dump(tmp_path / 'm.pkl', simulate(9, 4, sharpness=3))
    held_out = write_dump(tmp_path / 'val.pkl', as_validation(simulate(9, 4, skill, seed=1)))
    models = load_models([str(test)])
    results = write_report(
        models, tmp_path / 'out', Settings(rounds=20), load_validation(models, [str(held_out)])
    )
    assert any(
        note.startswith('val.pkl (m): no temperature fits') and why in note
        for note in results.report.notes
    )
    saved = json.loads((tmp_path / 'out/temperature.json').read_text())['m'][0]
    assert saved['temperature'] == 1 and why in saved['note']
    run = results.report.calibration['m'][0]
    for key, before in asdict(run.before).items():
        for part, value in before.items():
            after = getattr(getattr(run.after, key), part)
            assert after is value is None or after == pytest.approx(value, nan_ok=True)
    text = ''.join(Page((tmp_path / 'out/report.html').read_text(encoding='utf-8')).text)
    assert 'T = 1, as none fits' in text
    updating = next(row for row in rows(tmp_path / 'out/checklists.csv') if row['item'] == '12f')
    assert updating['status'] == 'open'


def test_class_that_the_set_lacks(tmp_path):
    """One false prediction of it costs the macro F1 little, and its interval stays."""
    entries = [entry for entry in simulate(30, 4, skill=30) if entry['gt_label'] != 1]
    entries[0].update(pred_label=np.array([1]))
    models = load_models([str(write_dump(tmp_path / 'm.pkl', entries))])
    report = compute(models, Settings(rounds=200)).report
    for level in ('slice', 'patient'):
        found = report.figures[level]['m']['macro_f1']
        assert 0.7 < found.low < found.value <= found.high <= 1
        assert found.value > 0.98
    assert report.notes == [
        'The set has no slice of Pneumonia (CP): macro figures are means over the other classes.'
    ]


def test_names_of_classes_may_begin_alike(tmp_path):
    entries = simulate(9, 2)
    for entry in entries:
        entry['image_classes'] = ('covid', 'covid_severe', 'normal')
    path = write_dump(tmp_path / 'm.pkl', entries)
    write_report(
        load_models([f'one={path}', f'other={path}']),
        tmp_path / 'out',
        Settings(rounds=5, gallery=0),
    )
    text = (tmp_path / 'out/report.html').read_text(encoding='utf-8')
    assert '<th scope="row">covid_severe: AUROC</th>' in text


def test_abstention(report):
    _, results = report
    for models in results.report.abstention.values():
        for table in models.values():
            assert table[0].coverage.value == 1
            chosen = [row for row in table if row.chosen]
            assert [row.threshold for row in chosen] == [0.6]
    cases, table = results.deciding['slice']['<lstm>'], results.report.abstention['slice']['<lstm>']
    kept = cases.scores.max(1) >= 0.6
    assert table[-1].accuracy.value == pytest.approx(np.mean(cases.pred[kept] == cases.truth[kept]))
    assert table[-1].coverage.value == pytest.approx(kept.mean())


def test_subgroups_make_up_the_set(report):
    _, results = report
    for groups in results.report.subgroups.values():
        assert sum(group.slices for group in groups.values()) == 180
        assert groups[UNLISTED].patients == 2
        right = sum(
            group.slices * group.figures['<lstm>']['accuracy'].value for group in groups.values()
        )
        assert right / 180 == pytest.approx(
            results.report.figures['slice']['<lstm>']['accuracy'].value
        )
    assert len(results.report.subgroups['age']) == 5  # quartiles, and those not listed


def test_galleries_count_missing_pictures(report):
    folder, results = report
    saved = json.loads((folder / 'one/report.json').read_text())
    assert {model: len(own) for model, own in saved['errors'].items()} == {
        'attention': 4,
        '<lstm>': 4,
    }
    assert all(
        set(entry) == {'id', 'path', 'dice'}
        for own in saved['lesion_errors'].values()
        for entry in own
    )
    text = (folder / 'one' / 'report.html').read_text(encoding='utf-8')
    unread = text.count('<span class="blank">')
    said = [note for note in results.report.notes if 'galleries' in note]
    assert said == (
        [f'{unread} images of the galleries of errors cannot be read.'] if unread else []
    )


def test_gallery_is_named_in_the_checklist(report, tmp_path):
    def failure_analysis(path):
        return next(
            row['answer']
            for row in rows(path)
            if row['checklist'].startswith('CLAIM') and row['item'] == '39'
        )

    folder, _ = report
    assert failure_analysis(folder / 'one/checklists.csv') == (
        'Confusion matrices, gallery of the surest errors, gallery of the slices with the least '
        'Dice.'
    )
    models = load_models([str(folder / 'b.pkl')])
    write_report(models, tmp_path, Settings(rounds=5, gallery=0))
    assert failure_analysis(tmp_path / 'checklists.csv') == 'Confusion matrices.'


def test_readers_see_display_names_and_files_have_plain_ones(report):
    folder, _ = report
    text = (folder / 'one/report.html').read_text(encoding='utf-8')
    words = ' '.join(Page(text).text)
    for name in ('Normal', 'Pneumonia (CP)', 'COVID-19', 'Lung', 'GGO', 'Consolidation'):
        assert name in words
    for name in ('covid19', 'ggo', ' cp'):
        assert name not in words
    assert '>COVID-19, patient level<' in (folder / 'one/figures/roc.svg').read_text()
    data = json.loads((folder / 'one/report.json').read_text(encoding='utf-8'))
    assert 'covid19_ppv' in data['figures']['slice']['attention']
    assert [known['name'] for known in data['classes']['lesions']] == [
        'lung',
        'ggo',
        'consolidation',
    ]
    assert any(row['figure'] == 'ggo_dice' for row in rows(folder / 'one/figures.csv'))


def test_colours_are_told_by_a_key_of_the_classes(tmp_path):
    lesions = simulate_lesions(4, 2)
    for entry in lesions:
        entry.update(
            lesion_classes=('ggo', 'lung', '<other>'),
            roles=dict(ggo='lesion'),
            palette=[(1, 2, 3), (4, 5, 6), (7, 8, 9)],
        )
    models = load_models([str(write_dump(tmp_path / 'seg.pkl', lesions))])
    write_report(models, tmp_path / 'out', Settings(rounds=5))
    text = (tmp_path / 'out/report.html').read_text(encoding='utf-8')
    Page(text)
    key = text.split('<ul class="key">')[1].split('</ul>')[0]
    shown = re.findall(r'<span class="([^"]*)" style="--color: rgb([^"]*)"></span>(.*?)</li>', key)
    assert shown == [
        ('swatch', '(1, 2, 3)', 'GGO'),
        ('swatch outlined', '(4, 5, 6)', 'Lung, outlined'),
        ('swatch', '(7, 8, 9)', '&lt;other&gt;'),
    ]
    assert 'amber' not in text


def test_checklists_say_what_is_open(report):
    folder, results = report
    table = rows(folder / 'one/checklists.csv')
    assert len(table) == len(TRIPOD_AI) + len(CLAIM) == 52 + 44
    assert {row['status'] for row in table} == {'filled in', 'in part', 'open'}
    for row in table:
        assert bool(row['answer']) == (row['status'] != 'open')
    updating = next(row for row in table if (row['checklist'], row['item']) == ('TRIPOD+AI', '24'))
    temperature = results.report.calibration['<lstm>'][0].temperature
    assert f'T = {temperature:.4g} (<lstm>' in updating['answer']


def test_one_task_alone(tmp_path):
    lesions = load_models([str(write_dump(tmp_path / 'seg.pkl', simulate_lesions(4, 2)))])
    report = write_report(lesions, tmp_path / 'seg', Settings(rounds=20)).report
    assert list(report.figures) == ['lesion'] and not (tmp_path / 'seg/figures').exists()
    entries = simulate(6, 3)
    for entry in entries:
        del entry['patient_id'], entry['scan_id']
    slices = load_models([str(write_dump(tmp_path / 'cls.pkl', entries))])
    report = compute(slices, Settings(rounds=20, unit='scan')).report
    assert list(report.figures) == ['slice', 'scan']
    assert '18 of 18 slices tell no patient' in report.notes[0]


def test_names_of_models(tmp_path):
    for folder in ('a', 'b'):
        (tmp_path / folder).mkdir()
        write_dump(tmp_path / folder / 'x.pkl', simulate(3, 1))
    both = [str(tmp_path / folder / 'x.pkl') for folder in ('a', 'b')]
    assert list(load_models(both[:1])) == ['x']
    assert {
        name: len(runs)
        for name, runs in load_models([f'm={both[0]}', f'm={both[1]}', f'n={both[0]}']).items()
    } == dict(m=2, n=1)
    with pytest.raises(ValueError, match='NAME=FILE'):
        load_models(both)
    with pytest.raises(ValueError, match='1 validation files for 2 files'):
        load_validation(load_models([f'm={both[0]}', f'n={both[1]}']), both[:1])


def test_metadata(tmp_path):
    path = tmp_path / 'meta.csv'
    path.write_text('scan_id,site,age\n1,A,40\n2, ,41\n1,A,40\n', encoding='utf-8')
    key, table = read_metadata(path, ['site'])
    entries = [dict(img_id=str(i), scan_id=scan) for i, scan in enumerate('1123')]
    assert key == 'scan_id'
    assert group_slices(entries, key, table, 'site').tolist() == ['A', 'A', EMPTY, UNLISTED]
    with pytest.raises(ValueError, match='no slice of the predictions is in the metadata'):
        group_slices([dict(img_id='x', scan_id='9')], key, table, 'site')
    with pytest.raises(ValueError, match='no column 1: centre'):
        read_metadata(path, ['centre'])
    path.write_text('scan_id,site\n1,A\n1,B\n', encoding='utf-8')
    with pytest.raises(ValueError, match='line 3: scan_id 1 had another site'):
        read_metadata(path, ['site'])
    path.write_text('name,site\n1,A\n', encoding='utf-8')
    with pytest.raises(ValueError, match='none of img_id, scan_id, patient_id'):
        read_metadata(path, ['site'])


def test_any_model_stands_beside_ours(tmp_path):
    """One that does both tasks, scores of another as a table, one that only segments."""
    validation = as_validation(simulate(12, 3, 1.5, seed=1))
    files = dict(
        table=write_table(tmp_path / 'table.csv', simulate(12, 3, 2.5, model=1)),
        both=write_dump(tmp_path / 'both.pkl', simulate(12, 3, 1.5) + simulate_lesions(6, 2)),
        masks=write_dump(tmp_path / 'masks.pkl', simulate_lesions(6, 2, model=1)),
    )
    models = load_models([f'{name}={path}' for name, path in files.items()])
    held_out = [
        write_table(tmp_path / 'val.csv', validation),
        *[write_dump(tmp_path / f'val_{i}.pkl', validation) for i in range(2)],
    ]
    settings = Settings(rounds=30, gallery=2)
    results = compute(models, settings, load_validation(models, held_out))
    report = results.report
    assert list(report.figures['slice']) == list(report.figures['patient']) == ['table', 'both']
    assert list(report.figures['lesion']) == ['both', 'masks']
    assert list(report.differences['slice']) == ['both'] and not report.differences['lesion']
    assert report.calibration['table'][0].temperature > 0
    alone = compute(load_models([f'both={files["both"]}']), settings).report
    assert report.figures['lesion']['both'] == alone.figures['lesion']['both']
    write_report(models, tmp_path / 'out', settings, load_validation(models, held_out))
    page = Page((tmp_path / 'out/report.html').read_text(encoding='utf-8'))
    assert 'masks' in ''.join(page.text)
    with pytest.raises(ValueError, match='one is a table of scores, the other none'):
        compute(models, settings, load_validation(models, held_out[1:] + held_out[1:2]))
