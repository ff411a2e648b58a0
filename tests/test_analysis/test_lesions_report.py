import csv
import json
import shutil

import numpy as np
import pytest
import SimpleITK as sitk
from known_predictor import KnownPredictor
from lesions_utils import LEFT, RIGHT, SPACING, lungs, write_labels, write_truth
from schema_utils import check_schema

from mmcovid.analysis.lesions import (
    Settings,
    compare,
    find_truth,
    load_models,
    with_scores,
    write_report,
)
from mmcovid.analysis.lesions.measure import overlaps
from mmcovid.classes import Classes
from mmcovid.scans import Settings as ScanSettings
from mmcovid.scans import run_scans
from mmcovid.scans.lesions import join_lesions

CLASSES = Classes.of()


@pytest.fixture
def truth(tmp_path):
    return find_truth(write_truth(tmp_path / 'truth'))


def report_of(truth, *models, patients=None, classes=CLASSES, **settings):
    loaded, _ = load_models([f'{path.name}={path}' for path in models], truth, classes)
    settings = Settings(**dict(dict(rounds=30), **settings))
    return compare(loaded, truth, classes, settings, patients)


def values(report, model, target='lesions'):
    return {key: each.value for key, each in report.models[model].figures[target].items()}


def test_the_truth_itself_is_perfect(truth):
    report = report_of(truth, truth.source)
    found = values(report, 'truth')
    assert found == pytest.approx(
        dict.fromkeys(found, 1.0)
        | dict.fromkeys(('fp_per_scan', 'hd95', 'assd', 'bias', 'limit_low', 'limit_high'), 0)
    )
    assert report.true_lesions == 3 and report.models['truth'].defined['lesions']['dice'] == 2
    assert 'truth: 1 of 3 scans have none and none was found' in report.notes[-1]


def test_figures_of_known_label_maps(truth, tmp_path):
    folder = tmp_path / 'model'
    write_labels(folder / 'a.nii.gz', lungs(RIGHT))  # one missed
    moved = np.s_[2:4, 4:8, 16:21], 3  # 40 of 48 voxels
    write_labels(folder / 'b.nii.gz', lungs(moved))
    write_labels(folder / 'c.nii.gz', lungs(RIGHT))  # a false one
    report = report_of(truth, folder)
    found = values(report, 'model')
    assert found['sensitivity'] == pytest.approx(2 / 3) and found['ppv'] == pytest.approx(2 / 3)
    assert found['fp_per_scan'] == pytest.approx(1 / 3)
    dice = [2 * 32 / (80 + 32), 2 * 40 / (48 + 40), 0]
    assert found['dice'] == pytest.approx(np.mean(dice))
    assert found['sq'] == pytest.approx((1 + 40 / 48) / 2) and found['rq'] == pytest.approx(2 / 3)
    assert found['pq'] == pytest.approx(found['sq'] * found['rq'])
    difference = np.array([32 - 80, 40 - 48, 32]) * 0.02
    assert found['bias'] == pytest.approx(difference.mean())
    assert found['limit_high'] - found['bias'] == pytest.approx(1.96 * difference.std(ddof=1))
    model = report.models['model']
    assert model.froc is None and model.defined['lesions']['hd95'] == 2
    missed = [lesion for lesion in model.true if not lesion.matched]
    assert [(each.scan, each.class_, each.side) for each in missed] == [
        ('a', 'consolidation', 'left')
    ]
    false = [lesion for lesion in model.found if not lesion.matched]
    assert [(each.scan, each.side, each.iou) for each in false] == [('c', 'right', 0)]
    by_class = report.models['model'].scans[0].targets
    assert by_class['ggo'].dice == 1 and by_class['consolidation'].dice == 0
    assert by_class['lung'].dice == 1


def test_a_shift_is_as_many_mm(truth, tmp_path):
    shifted = np.s_[2:4, 6:10, 15:21], 3  # two rows of 2 mm
    only = find_truth(write_labels(tmp_path / 'one/b.nii.gz', lungs(LEFT)).parent)
    write_labels(tmp_path / 'model/b.nii.gz', lungs(shifted))
    found = values(report_of(only, tmp_path / 'model'), 'model')
    assert found['hd95'] == 4 and 0 < found['assd'] < 4


def test_nothing_found_and_nothing_true_are_told(truth, tmp_path):
    for name in 'abc':
        write_labels(tmp_path / f'none/{name}.nii.gz', np.zeros((6, 16, 24)))
        write_labels(tmp_path / f'healthy/{name}.nii.gz', lungs())
    report = report_of(truth, tmp_path / 'none')
    found = values(report, 'none')
    assert (found['sensitivity'], found['fp_per_scan'], found['dice'], found['nsd']) == (0,) * 4
    assert np.isnan([found['ppv'], found['hd95'], found['assd']]).all()
    assert any('2 of 3 scans have true lesions and none was found' in each for each in report.notes)
    healthy = find_truth(tmp_path / 'healthy')
    report = report_of(healthy, truth.source)
    found = values(report, 'truth')
    assert np.isnan(found['sensitivity']) and found['fp_per_scan'] == 1 and found['ppv'] == 0
    assert any('2 of 3 scans have none and some were found' in each for each in report.notes)


def test_small_lesions_count_nowhere_but_in_volumes(truth, tmp_path):
    for name in 'abc':
        write_labels(tmp_path / f'model/{name}.nii.gz', lungs((np.s_[1, 3, 3], 2)))
    report = report_of(truth, tmp_path / 'model', least_lesion_ml=0.7)
    assert report.true_lesions == 2  # the right one of scan a has 0.64 ml
    scans = report.models['model'].scans
    assert [(scan.true_left_out, scan.found_left_out) for scan in scans] == [(1, 1), (0, 1), (0, 1)]
    assert '1 true lesions and 3 of model are too small to count.' in report.notes
    assert report.models['model'].scans[2].targets['lesions'].found_ml == pytest.approx(0.02)


def test_models_are_compared_by_the_same_resamples(truth, tmp_path):
    for name in 'abc':
        write_labels(tmp_path / f'none/{name}.nii.gz', lungs())
    report = report_of(truth, truth.source, tmp_path / 'none')
    assert report.differences['none']['lesions']['sensitivity'].value == -1
    same = report_of(truth, truth.source, write_truth(tmp_path / 'again'))
    for difference in same.differences['again']['lesions'].values():
        assert difference.value == 0 and not difference.excludes(0)


def test_scans_of_a_patient_are_drawn_together(truth):
    report = report_of(truth, truth.source, patients=dict(a='p', b='p', c='q'))
    assert (report.scans, report.patients) == (3, 2)


def test_a_set_of_one_lesion_class(tmp_path):
    folder = write_labels(tmp_path / 'truth/a.nii.gz', lungs() * 0 + (lungs(LEFT) == 3)).parent
    report = report_of(find_truth(folder), folder, classes=Classes.of(('lesion',)))
    assert list(report.models['truth'].figures) == ['lesions']
    assert report.models['truth'].found[0].side is None


def test_overlaps_are_those_of_the_definition():
    rng = np.random.default_rng(0)
    true, found = (join_lesions(rng.integers(0, 4, (4, 9, 9)) // 2 * 2, CLASSES) for _ in range(2))
    expected = [
        [len(np.intersect1d(one, two)) / len(np.union1d(one, two)) for two in found.split()]
        for one in true.split()
    ]
    assert overlaps(true, found) == pytest.approx(np.array(expected))


@pytest.fixture(scope='module')
def predicted(tmp_path_factory):
    """What ``mmcovid infer`` writes of three scans, all with the lesions of scan a."""
    folder = tmp_path_factory.mktemp('predicted')
    write_truth(folder / 'truth')
    image = sitk.GetImageFromArray(np.where(lungs(), -800, 40).astype(np.int16))
    image.SetSpacing(SPACING)
    (folder / 'scans').mkdir()
    for name in 'abc':
        sitk.WriteImage(image, str(folder / f'scans/{name}.nii.gz'))
    model = KnownPredictor(folder / 'truth/a.nii.gz')
    run_scans(model, [folder / 'scans'], folder / 'out', ScanSettings(), show_progress=False)
    return folder / 'out'


def test_scores_of_slices_become_those_of_lesions(truth, predicted):
    report = report_of(truth, predicted)
    model = report.models['out']
    assert {lesion.class_: lesion.score for lesion in model.found} == pytest.approx(
        dict(ggo=0.8, consolidation=0.7)
    )
    assert model.froc.fp_per_scan == pytest.approx([0, 2 / 3, 1])
    assert model.froc.sensitivity == pytest.approx([0, 1 / 3, 1])
    summary = list(csv.DictReader((predicted / 'summary.csv').open()))
    assert [(row['lesions_3d'], row['load_score']) for row in summary] == [('2', '3')] * 3
    found = values(report, 'out')
    assert (found['sensitivity_at_0.5'], found['sensitivity_at_1']) == (0, 1)
    assert found['froc_mean'] == pytest.approx(4 / 7)


def test_scores_of_a_table(truth, tmp_path):
    turned = dict(direction=(-1, 0, 0, 0, -1, 0, 0, 0, 1))
    for name, labels in dict(a=lungs(RIGHT, LEFT), b=lungs(RIGHT)).items():
        for folder in ('truth2', 'any'):
            write_labels(tmp_path / f'{folder}/{name}.nii.gz', labels[:, ::-1, ::-1], **turned)
    truth = find_truth(tmp_path / 'truth2')
    path = tmp_path / 'scores.csv'
    # columns and rows of the file run the other way: 24 - 1 - 3 and 16 - 1 - 3
    lines = ['scan,x,y,z,score', 'a,20,12,1,0.3', 'a,20,12,2,0.6', 'a,8,11,2,0.9', 'b,20,12,1,0.5']
    path.write_text('\n'.join([*lines, 'b,0,0,0,0.7', 'other,0,0,0,1']))
    models, _ = load_models([f'any={tmp_path / "any"}'], truth, CLASSES)
    report = compare(
        with_scores(models, [f'any={path}']), truth, CLASSES, Settings(rounds=5, least_lesion_ml=0)
    )
    found = [(each.scan, each.class_, each.score) for each in report.models['any'].found]
    assert found == [('a', 'consolidation', 0.9), ('a', 'ggo', 0.6), ('b', 'ggo', 0.5)]
    assert '1 scores of any are of voxels in no lesion, and not used.' in report.notes
    assert report.models['any'].froc.sensitivity[-1] == 1


@pytest.mark.parametrize(
    'line, message',
    [
        ('a,20,12,1,0.3', 'any/a.nii.gz: 2 of its 2 lesions have no score in the table'),
        ('a,24,0,0,0.3', r'a score is of a voxel outside of \(24, 16, 6\)'),
        ('a,1,2,x,0.3', 'scores.csv, line 2: has no scan, whole x, y, z and score'),
        ('a,1,2,3,nan', 'whole x, y, z and score .a score of nan'),
    ],
)
def test_scores_that_do_not_fit_are_refused(truth, tmp_path, line, message):
    models, _ = load_models([f'any={write_truth(tmp_path / "any")}'], truth, CLASSES)
    (tmp_path / 'scores.csv').write_text(f'scan,x,y,z,score\n{line}\n')
    with pytest.raises(ValueError, match=message):
        models = with_scores(models, [f'any={tmp_path / "scores.csv"}'])
        compare(models, truth, CLASSES, Settings(rounds=5))
    with pytest.raises(ValueError, match="no model is called 'x'"):
        with_scores(models, ['x=scores.csv'])


def test_a_label_map_that_was_changed_afterwards_is_refused(truth, predicted, tmp_path):
    changed = shutil.copytree(predicted, tmp_path / 'changed')
    write_labels(changed / 'b/labels.nii.gz', lungs(RIGHT))
    with pytest.raises(ValueError, match='labels.nii.gz: has other lesions than results.json'):
        report_of(truth, changed)


def test_what_is_written(truth, predicted, tmp_path):
    report = report_of(truth, predicted, truth.source)
    out = tmp_path / 'report'
    write_report(report, CLASSES, out)
    check_schema(json.loads((out / 'report.json').read_text()), 'lesion_report')
    tables = {path.stem: list(csv.DictReader(path.open())) for path in out.glob('*.csv')}
    assert {row['model'] for row in tables['differences']} == {'truth'}
    dice = next(row for row in tables['figures'] if row['figure'] == 'dice')
    assert (dice['model'], dice['target'], dice['scans']) == ('out', 'lesions', '3')
    assert len(tables['scans']) == 2 * 3 * 4 and len(tables['lesions']) == 3 + 6 + 3 + 3
    page = (out / 'report.html').read_text()
    for part in (
        '3</strong> scans of 3 patients',
        'out: 0 missed, 3 false',
        'at 0.125 FP',
        'truth tells no scores of lesions',
        'of 2 scans',
    ):
        assert part in page, part
    text = (out / 'report.md').read_text()
    assert '| sensitivity at 1 FP per scan | 1.000 (' in text and ') | – |' in text
    assert {path.name for path in (out / 'figures').iterdir()} == {
        'froc.svg', 'froc.png', 'bland_altman.svg', 'bland_altman.png',
    }  # fmt: skip
