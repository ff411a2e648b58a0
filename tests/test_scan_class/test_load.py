import json

import numpy as np
import pytest
from scan_class_utils import write_results

from mmcovid.scan_class.load import VECTORS, load_scans

ROWS = [
    f'{split}{i},{split}-{i},{name},{split}'
    for split in ('train', 'val')
    for i, name in enumerate(('normal', 'cp', 'covid19'))
]


@pytest.fixture
def folder(tmp_path):
    """Results of six scans, and a table of them."""
    rng = np.random.default_rng(0)
    for row in ROWS:
        write_results(
            tmp_path / 'out' / row.split(',')[0],
            rng.dirichlet(np.ones(3), size=4),
            np.array([False, True, True, True]),
            rng.normal(size=(4, 5)),
        )
    write_table(tmp_path, ROWS)
    return tmp_path


def write_table(folder, rows, header='scan,patient,class,split'):
    (folder / 'scans.csv').write_text('\n'.join([header, *rows]) + '\n')


def load(folder, vectors=True):
    return load_scans(folder / 'scans.csv', [folder / 'out'], vectors)


def test_slices_of_the_region_are_read(folder):
    found = load(folder)
    assert [scan.label for scan in found.of('val')] == [0, 1, 2]
    first = found.scans[0]
    assert (first.name, first.patient) == ('train0', 'train-0')
    assert first.slices.heights.tolist() == [-1, 0, 1]
    written = json.loads((folder / 'out/train0/results.json').read_text())['slices']
    assert first.slices.scores[0].tolist() == list(written[1]['scores'].values())
    vectors = np.load(folder / 'out/train0' / VECTORS)
    assert (first.slices.vectors == vectors[1:]).all()
    assert (found.region, found.temperature, found.notes) == ('lung', 1.0, [])
    assert load(folder, vectors=False).scans[0].slices.vectors is None


def test_what_is_left_out_or_incomplete_is_counted(folder):
    write_results(folder / 'out/other', np.ones((2, 3)) / 3)
    path = folder / 'out/val0/results.json'
    path.write_text(path.read_text().replace('"complete": true', '"complete": false'))
    assert [note.partition(' ')[0] for note in load(folder).notes] == ['1', '1']


@pytest.mark.parametrize(
    'rows, message',
    [
        ([*ROWS, 'train0,x,cp,train'], 'line 8: train0 was already listed in .*line 2. Remove'),
        ([*ROWS[:-1], 'val2,train-0,covid19,val'], 'line 7: patient train-0 is in val, and by .*2'),
        ([*ROWS[:-1], 'val2,x,flu,val'], "line 7: 'flu' is no class .* normal, cp, covid19"),
        ([*ROWS[:-1], 'val2,x,covid19,validation'], "line 7: the split 'validation' is none of"),
        ([*ROWS[:-1], 'val2,,covid19,val'], 'line 7: has no patient. Fill it in'),
        ([*ROWS[:-1], 'val2,x'], 'line 7: has no class and no split'),
        (ROWS[:-1], 'no scan of the split val is of class covid19. Add some'),
    ],
)
def test_bad_rows_are_named(folder, rows, message):
    write_table(folder, rows)
    with pytest.raises(ValueError, match=message):
        load(folder)


def test_bad_tables_are_named(folder):
    write_table(folder, ROWS, header='scan,patient,label,split')
    with pytest.raises(ValueError, match='scans.csv: lacks the columns class. The first line'):
        load(folder)
    (folder / 'scans.csv').write_bytes(b'\xff\xfe\x00')
    with pytest.raises(ValueError, match='scans.csv: is no table in UTF-8'):
        load(folder)
    (folder / 'scans.csv').unlink()
    with pytest.raises(FileNotFoundError, match='scans.csv: no such table'):
        load(folder)


def test_scans_without_results_are_named(folder):
    write_table(folder, [*ROWS, 'nowhere,x,cp,train'])
    with pytest.raises(FileNotFoundError, match='line 8: there is no nowhere/results.json in'):
        load(folder)
    write_table(folder, ROWS)
    write_results(folder / 'again/val1', np.ones((2, 3)) / 3)
    with pytest.raises(ValueError, match='val1 is in .*again and .*out. List it as again/val1'):
        load_scans(folder / 'scans.csv', [folder / 'out', folder / 'again'], True)


def test_scans_of_one_name_are_told_apart_by_their_run(folder):
    scores = np.full((2, 3), 1 / 3)
    write_results(folder / 'again/val1', scores, vectors=np.ones((2, 5)))
    write_table(
        folder, [row.replace('val1,', 'out/val1,') for row in ROWS] + ['again/val1,x,cp,test']
    )
    found = load_scans(folder / 'scans.csv', [folder / 'out', folder / 'again'], True)
    assert (found.of('test')[0].slices.vectors == 1).all()
    assert found.notes == []
    write_table(folder, [*ROWS, 'out/val1,x,cp,test'])
    with pytest.raises(ValueError, match='line 8: .*val1 was already listed in .*line 6. Remove'):
        load(folder)


@pytest.mark.parametrize(
    'change, message',
    [
        (lambda told: told['settings'].update(region='all'), 'its region is all, and lung of'),
        (lambda told: told['model'].update(weights_sha256='b'), 'its model is b, and a of'),
        (lambda told: told.update(classification=None), 'a model that does not classify'),
        (lambda told: told.pop('slices'), 'no result of mmcovid infer'),
    ],
)
def test_results_that_do_not_fit_are_named(folder, change, message):
    path = folder / 'out/val0/results.json'
    told = json.loads(path.read_text())
    change(told)
    path.write_text(json.dumps(told))
    with pytest.raises(ValueError, match=f'val0/results.json: .*{message}'):
        load(folder)


def test_vectors_that_are_missing_or_broken_are_named(folder):
    path = folder / 'out/val0' / VECTORS
    np.save(path, np.zeros((3, 5)))
    with pytest.raises(ValueError, match='holds no image vectors .* of 4 slices'):
        load(folder)
    np.save(path, np.array([{}]), allow_pickle=True)
    with pytest.raises(ValueError, match='holds no image vectors .*pickle'):
        load(folder)
    path.write_bytes(b'')
    with pytest.raises(ValueError, match='holds no image vectors'):
        load(folder)
    path.unlink()
    with pytest.raises(FileNotFoundError, match='infer --keep-vectors, or fit to --features'):
        load(folder)
