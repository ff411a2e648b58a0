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
    assert run('dataset_converters/covidx_ct.py', tmp_path / 'train_COVIDx-CT.txt', '--images',
               images, '--out', out, '--per-class', 3, '--crop', '--author-list') is None
    assert 'cp: 3 slices of 3 known patients' in capsys.readouterr().out
    assert len(list((out / 'images').iterdir())) == 9
    assert len((out / 'train_COVIDx-CT_author.txt').read_text().splitlines()) == 9
    card = json.loads((out / 'dataset_card.json').read_text())
    assert card['options'] == dict(skipped=[], per_class=3, seed=0, crop=True)

    def verify():
        return run('misc/verify_dataset.py', out / 'train_COVIDx-CT.json', '--out',
                   tmp_path / 'report')

    assert verify() == 0
    assert '0 errors, 0 warnings in 9 slices' in capsys.readouterr().out
    lost = next((out / 'images').iterdir())
    lost.unlink()
    assert verify() == 1
    assert '1 errors' in capsys.readouterr().out
    assert lost.name in (tmp_path / 'report/quarantine.txt').read_text()


def test_errors_are_one_line(run, images, tmp_path):
    with pytest.raises(SystemExit, match=r'^error: .*absent\.txt: no such list'):
        run('dataset_converters/covidx_ct.py', tmp_path / 'absent.txt', '--images', images,
            '--out', tmp_path / 'out')
    with pytest.raises(SystemExit, match=r'^error: .*absent\.json: no such annotations'):
        run('misc/verify_dataset.py', tmp_path / 'absent.json')


def test_ictcf(run, images, tmp_path, capsys):
    for number in range(4):
        for name in (f'nCT{number}.jpg', f'pCT{number}.jpg', f'NiCT{number}.jpg'):
            Image.new('L', (8, 8), number).save(images / name)
    for path in images.glob('*.png'):
        path.unlink()
    assert run('dataset_converters/ictcf.py', images, '--out', tmp_path / 'out',
               '--train-per-class', 3) is None
    assert '4 slices that tell nothing (NiCT) are left out' in capsys.readouterr().out
    train, test = (json.loads((tmp_path / f'out/ictcf_{split}.json').read_text())['data_list']
                   for split in ('train', 'test'))
    assert sorted(each['gt_label'] for each in train) == [0, 0, 0, 2, 2, 2]
    assert sorted(each['gt_label'] for each in test) == [0, 2]
    assert not {each['img_path'] for each in train} & {each['img_path'] for each in test}
