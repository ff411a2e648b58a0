import json
import runpy
import sys

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def run(repo, monkeypatch):
    """Run a script in this process; returns its exit status."""

    def run(script, *args):
        monkeypatch.setattr(sys, 'argv', [script, *map(str, args)])
        try:
            runpy.run_path(str(repo / 'tools' / script), run_name='__main__')
        except SystemExit as end:
            if isinstance(end.code, str):
                raise
            return end.code
        return 0

    return run


@pytest.fixture
def images(tmp_path):
    """Two slices each of three patients of each class, and their list."""
    folder = tmp_path / 'images'
    folder.mkdir()
    lines = []
    for label, name in enumerate(('Normal', 'CP', 'NCP')):
        for patient in range(3):
            for number in range(2):
                file = f'{name}_{10 * label + patient}_0_{number}.png'
                rng = np.random.default_rng(len(lines))
                Image.fromarray(rng.integers(0, 99, (8, 8), np.uint8)).save(folder / file)
                lines.append(f'{file} {label} 1 1 7 7\n')
    (tmp_path / 'train_COVIDx-CT.txt').write_text(''.join(lines))
    return folder


def test_balanced_set_is_drawn_cut_and_verified(run, images, tmp_path, capsys):
    out = tmp_path / 'out'
    assert (
        run(
            'dataset_converters/covidx_ct.py',
            tmp_path / 'train_COVIDx-CT.txt',
            '--images',
            images,
            '--out',
            out,
            '--per-class',
            3,
            '--crop',
            '--author-list',
        )
        == 0
    )
    assert 'cp: 3 slices of 3 known patients' in capsys.readouterr().out
    assert len(list((out / 'images').iterdir())) == 9
    assert len((out / 'train_COVIDx-CT_author.txt').read_text().splitlines()) == 9
    card = json.loads((out / 'dataset_card.json').read_text())
    assert card['options'] == dict(skipped=[], per_class=3, seed=0, crop=True)

    def verify():
        return run(
            'misc/verify_dataset.py', out / 'train_COVIDx-CT.json', '--out', tmp_path / 'report'
        )

    assert verify() == 0
    assert '0 errors, 0 warnings in 9 slices' in capsys.readouterr().out
    lost = next((out / 'images').iterdir())
    lost.unlink()
    assert verify() == 1
    assert '1 errors' in capsys.readouterr().out
    assert lost.name in (tmp_path / 'report/quarantine.txt').read_text()


def test_author_list_and_a_draw_make_the_same_file(run, images, tmp_path):
    author = tmp_path / 'train_split_classification.txt'
    author.write_text('0_0_0_0.png\n1_10_0_1.png\n2_22_0_0.png\n')
    for source, options in ((author, ()), (tmp_path / 'train_COVIDx-CT.txt', ('--per-class', 1))):
        out = tmp_path / f'of_{source.stem}'
        run(
            'dataset_converters/covidx_ct.py',
            f'train_3={source}',
            '--images',
            images,
            '--out',
            out,
            *options,
        )
        data_list = json.loads((out / 'train_3.json').read_text())['data_list']
        assert sorted(each['gt_label'] for each in data_list) == [0, 1, 2]
        assert all((images / each['img_path']).is_file() for each in data_list)
        card = json.loads((out / 'dataset_card.json').read_text())
        assert list(card['lists']) == [source.name] and list(card['splits']) == ['train_3']


def test_errors_are_one_line(run, images, tmp_path):
    with pytest.raises(SystemExit, match=r'^error: .*absent\.txt: no such list'):
        run(
            'dataset_converters/covidx_ct.py',
            tmp_path / 'absent.txt',
            '--images',
            images,
            '--out',
            tmp_path / 'out',
        )
    with pytest.raises(SystemExit, match=r'^error: .*absent\.json: no such annotations'):
        run('misc/verify_dataset.py', tmp_path / 'absent.json')


def test_ictcf(run, images, tmp_path, capsys):
    for number in range(4):
        for name in (f'nCT{number}.jpg', f'pCT{number}.jpg', f'NiCT{number}.jpg'):
            Image.new('L', (8, 8), number).save(images / name)
    for path in images.glob('*.png'):
        path.unlink()
    assert (
        run(
            'dataset_converters/ictcf.py', images, '--out', tmp_path / 'out', '--train-per-class', 3
        )
        == 0
    )
    assert '4 slices that tell nothing (NiCT) are left out' in capsys.readouterr().out
    assert labels(tmp_path / 'out') == dict(train=[0, 0, 0, 2, 2, 2], test=[0, 2])
    (tmp_path / 'train_ictcf.txt').write_text('0_nCT1.jpg\n2_pCT2.jpg\n0_nCT0.jpg\n2_pCT0.jpg\n')
    (tmp_path / 'test_ictcf.txt').write_text('0_nCT3.jpg\n2_pCT3.jpg\n')
    run(
        'dataset_converters/ictcf.py',
        images,
        '--out',
        tmp_path / 'lists',
        '--val-per-class',
        1,
        '--split',
        f'ictcf_trainval={tmp_path / "train_ictcf.txt"}',
        '--split',
        f'ictcf_test={tmp_path / "test_ictcf.txt"}',
    )
    assert labels(tmp_path / 'lists') == dict(
        train=[0, 2], val=[0, 2], trainval=[0, 0, 2, 2], test=[0, 2]
    )
    run(
        'dataset_converters/ictcf.py',
        images,
        '--out',
        tmp_path / 'drawn',
        '--train-per-class',
        3,
        '--val-per-class',
        1,
    )
    assert labels(tmp_path / 'drawn') == dict(train=[0, 0, 2, 2], val=[0, 2], test=[0, 2])


def labels(out):
    """Sorted labels of each JSON of iCTCF, of which no two but the undivided one share a slice."""
    found, seen = {}, set()
    for file in out.glob('ictcf_*.json'):
        data_list = json.loads(file.read_text())['data_list']
        found[file.stem.removeprefix('ictcf_')] = sorted(each['gt_label'] for each in data_list)
        if file.stem != 'ictcf_trainval':
            names = {each['img_path'] for each in data_list}
            assert not names & seen
            seen |= names
    return found
