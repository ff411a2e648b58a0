import json
import runpy
import sys

import cv2
import numpy as np
import pytest

SCRIPT = 'tools/dataset_converters/cncb_lesions.py'


@pytest.fixture
def convert(repo, tmp_path, monkeypatch):
    """Run the script in this process on four slices of patients a and b."""
    for patient in 'ab':
        for number in range(2):
            mask = np.zeros((20, 20), np.uint8)
            mask[2:14, 2:14] = 3
            for folder, suffix in (('image', 'jpg'), ('mask', 'png')):
                path = tmp_path / folder / patient / f'{number}.{suffix}'
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), mask)

    def run(*args):
        script = repo / SCRIPT
        monkeypatch.setattr(sys, 'argv',
                            [str(script), str(tmp_path), '--out', str(tmp_path / 'out'), *args])
        runpy.run_path(str(script), run_name='__main__')
        return {path.name: json.loads(path.read_text())
                for path in (tmp_path / 'out').iterdir() if path.name != 'dataset_card.json'}

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
    patients = {name: {image['patient_id'] for image in coco['images']}
                for name, coco in written.items()}
    assert sorted(map(len, patients.values())) == [1, 1]
    assert patients['lesions_train.json'] != patients['lesions_val.json']
    assert [each['name'] for each in written['lesions_val.json']['categories']
            ] == ['lung', 'lesion']


def test_split_files(convert, tmp_path, capsys):
    (tmp_path / 'train.txt').write_text('a_0.jpg\na_1.jpg\n')
    (tmp_path / 'test.txt').write_text('b/1.jpg\n')
    options = '--split', str(tmp_path / 'train.txt'), '--split', str(tmp_path / 'test.txt')
    assert sorted(convert(*options)) == ['test.json', 'train.json']
    assert '1 of 4 slices are in no split' in capsys.readouterr().out


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
        convert('--split', str(tmp_path / 'train.txt'), '--split',
                str(tmp_path / 'more' / 'train.txt'))


def test_help(convert, capsys):
    with pytest.raises(SystemExit) as end:
        convert('--help')
    assert end.value.code == 0
    assert '--val-fraction' in capsys.readouterr().out
