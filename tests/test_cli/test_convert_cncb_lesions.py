import json
import runpy
import sys

import cv2
import numpy as np
import pytest

SCRIPT = 'tools/dataset_converters/cncb_lesions.py'


@pytest.fixture
def patients():
    return 'ab'


@pytest.fixture
def convert(repo, tmp_path, monkeypatch, patients):
    """Run the script in this process on two slices of each patient."""
    for patient in patients:
        for number in range(2):
            mask = np.zeros((20, 20), np.uint8)
            mask[2:14, 2:14] = 3
            for folder, suffix in (('image', 'jpg'), ('mask', 'png')):
                path = tmp_path / folder / patient / f'{number}.{suffix}'
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), mask)

    def run(*args):
        script = repo / SCRIPT
        monkeypatch.setattr(
            sys, 'argv', [str(script), str(tmp_path), '--out', str(tmp_path / 'out'), *args]
        )
        runpy.run_path(str(script), run_name='__main__')
        return {
            path.name: json.loads(path.read_text())
            for path in (tmp_path / 'out').iterdir()
            if path.name != 'dataset_card.json'
        }

    return run


def test_no_split(convert, capsys):
    written = convert()
    assert list(written) == ['lesions_all.json']
    assert {each['category_id'] for each in written['lesions_all.json']['annotations']} == {3}
    printed = capsys.readouterr().out
    assert '4 slices of 2 patients' in printed
    assert 'consolidation: 4 instances in 4 slices of 2 patients' in printed


def test_val_fraction_and_merge(convert):
    written = convert('--val-fraction', '0.5', '--seed', '3', '--merge-lesions')
    patients = {
        name: {image['patient_id'] for image in coco['images']} for name, coco in written.items()
    }
    assert sorted(map(len, patients.values())) == [1, 1]
    assert patients['lesions_train.json'] != patients['lesions_val.json']
    assert [each['name'] for each in written['lesions_val.json']['categories']] == [
        'lung',
        'lesion',
    ]


def test_split_files(convert, tmp_path, capsys):
    (tmp_path / 'train.txt').write_text('a_0.jpg\na_1.jpg\n')
    (tmp_path / 'test.txt').write_text('b/1.jpg\n')
    options = '--split', str(tmp_path / 'train.txt'), '--split', str(tmp_path / 'test.txt')
    assert sorted(convert(*options)) == ['test.json', 'train.json']
    assert '1 of 4 slices are in no split' in capsys.readouterr().out


def patients_of(coco):
    return {image['patient_id'] for image in coco['images']}


@pytest.mark.parametrize('patients', ['abcdefgh'])
def test_validation_is_held_out_of_the_first_split(convert, tmp_path):
    """The author's lists, and a like set drawn without them, make the same files."""
    lists = {'trainval': 'abcdef', 'test': 'gh'}
    options = []
    for name, members in lists.items():
        file = tmp_path / f'author_{name}.txt'
        file.write_text(''.join(f'{each}_0.jpg\n{each}_1.jpg\n' for each in members))
        options += ['--split', f'lesions_{name}={file}']
    written = convert(*options, '--val-fraction', '0.34')
    drawn = convert('--test-fraction', '0.25', '--val-fraction', '0.34')
    assert patients_of(written['lesions_trainval.json']) == set('abcdef')
    assert patients_of(written['lesions_test.json']) == set('gh')
    names = {f'lesions_{split}.json' for split in ('trainval', 'train', 'val', 'test')}
    for splits in (written, drawn):
        assert set(splits) == names
        train, val, trainval, test = (
            patients_of(splits[f'lesions_{split}.json'])
            for split in ('train', 'val', 'trainval', 'test')
        )
        assert (len(train), len(val), len(test)) == (4, 2, 2)
        assert not train & val and train | val == trainval and not trainval & test
    card = json.loads((tmp_path / 'out/dataset_card.json').read_text())
    assert card['options']['test_fraction'] == 0.25 and card['options']['val_fraction'] == 0.34


@pytest.mark.parametrize('patients', ['abcd'])
def test_a_list_of_the_name_of_a_part_becomes_that_part(convert, tmp_path):
    (tmp_path / 'lesions_train.txt').write_text('a_0.jpg\nb_0.jpg\nc_0.jpg\n')
    (tmp_path / 'lesions_test.txt').write_text('d_0.jpg\n')
    written = convert(
        '--split',
        str(tmp_path / 'lesions_train.txt'),
        '--split',
        str(tmp_path / 'lesions_test.txt'),
        '--val-fraction',
        '0.3',
    )
    assert {name: len(coco['images']) for name, coco in written.items()} == {
        'lesions_train.json': 2,
        'lesions_val.json': 1,
        'lesions_test.json': 1,
    }


def test_shared_patient(convert, tmp_path):
    (tmp_path / 'train.txt').write_text('a_0.jpg\n')
    (tmp_path / 'test.txt').write_text('a_1.jpg\n')
    options = '--split', str(tmp_path / 'train.txt'), '--split', str(tmp_path / 'test.txt')
    with pytest.raises(SystemExit, match='--allow-patient-overlap'):
        convert(*options)
    with pytest.warns(UserWarning, match='more than one split'):
        assert len(convert(*options, '--allow-patient-overlap')) == 2


def test_names_of_the_drawn_splits(convert):
    written = convert('--val-fraction', '0.5', '--names', 'lesions_train', 'lesions_test')
    assert sorted(written) == ['lesions_test.json', 'lesions_train.json']


def test_missing_pairs(convert, tmp_path):
    (tmp_path / 'mask/a/1.png').unlink()
    with pytest.raises(SystemExit, match='--skip-missing'):
        convert()
    with pytest.warns(UserWarning, match='images without a mask, 1: a/1'):
        assert len(convert('--skip-missing')['lesions_all.json']['images']) == 3
    card = json.loads((tmp_path / 'out/dataset_card.json').read_text())
    assert card['options']['skipped'] == ['a/1']


def test_dry_run(convert, tmp_path, capsys):
    (tmp_path / 'out').mkdir()
    assert convert('--dry-run') == {}
    assert '4 slices of 2 patients' in (printed := capsys.readouterr().out)
    assert 'nothing written' in printed


def test_split_files_of_one_name(convert, tmp_path):
    (tmp_path / 'more').mkdir()
    for file in (tmp_path / 'train.txt', tmp_path / 'more' / 'train.txt'):
        file.write_text('a_0.jpg\n')
    with pytest.raises(SystemExit, match='overwrite each other'):
        convert(
            '--split', str(tmp_path / 'train.txt'), '--split', str(tmp_path / 'more' / 'train.txt')
        )


def test_help(convert, capsys):
    with pytest.raises(SystemExit) as end:
        convert('--help')
    assert end.value.code == 0
    assert '--val-fraction' in capsys.readouterr().out
