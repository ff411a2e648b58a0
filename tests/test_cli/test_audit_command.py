"""The audit script and ``train.py --audit``, on a small phantom set."""

import json
import shutil
from pathlib import Path

import cv2
import pytest

from mmcovid.cli import audit as tool
from mmcovid.cli import train
from mmcovid.data_tools.phantom.dataset import SplitSize, write_phantom_set

CONFIG = str(Path(__file__).parents[2] / 'configs/phantom/one-shot_r18_fpn_lstm2_phantom.py')


@pytest.fixture(scope='module')
def clean_set(tmp_path_factory):
    """A phantom set without leakage."""
    root = tmp_path_factory.mktemp('audit') / 'data' / 'phantom'
    sizes = {split: SplitSize(1, 1) for split in ('train', 'val', 'test')}
    write_phantom_set(root, sizes, sizes, size=128, show_progress=False)
    return root


@pytest.fixture
def phantom(clean_set, tmp_path, monkeypatch):
    """A copy of it, where the configs expect it."""
    shutil.copytree(clean_set, tmp_path / 'data' / 'phantom')
    monkeypatch.chdir(tmp_path)
    return Path('data/phantom')


def leak(root):
    """Put a training slice, darker and recompressed, in place of a slice of the test split."""
    first, second = (
        root
        / 'covidx_ct'
        / '2A_images'
        / Path(root / 'covidx_ct' / f'{split}_phantom.txt').read_text().split()[0]
        for split in ('train', 'test')
    )
    cv2.imwrite('copy.jpg', cv2.imread(str(first), 0) * 0.8)
    cv2.imwrite(str(second), cv2.imread('copy.jpg', 0))
    return second


def test_no_leakage_in_the_phantom(phantom, capsys):
    assert tool.main([CONFIG, '--workers=1']) == 0
    assert 'no leakage found' in capsys.readouterr().out
    report = json.loads(Path('work_dirs/leakage/leakage.json').read_text())
    assert not report['leakage'] and not report['findings']
    assert [split['num_slices'] for split in report['splits']] == [2, 3, 2, 3, 2, 3]


def test_leakage_fails_and_is_drawn(phantom, capsys):
    second = leak(phantom)
    assert tool.main([CONFIG, '--workers=1', '--out=out']) == 1
    printed = capsys.readouterr().out
    assert 'LEAKAGE: 1 findings' in printed and f'2A_images/{second.name}' in printed
    (finding,) = json.loads(Path('out/leakage.json').read_text())['findings']
    assert (finding['kind'], finding['slices'][1]) == ('near', str(second))
    assert [path.name for path in Path('out/pairs').iterdir()] == ['near_01.png']
    height, width, _ = cv2.imread('out/pairs/near_01.png').shape
    assert width > height > 512

    # what an earlier audit drew is not left among the pictures of this one
    files = [str(phantom / 'covidx_ct' / f'{split}_phantom.txt') for split in ('train', 'test')]
    options = '--workers=1', '--out=out', f'--allow=near:{second.name}', '--pictures=0'
    assert tool.main([*files, f'--images={second.parent}', *options]) == 0
    assert '1 allowed' in capsys.readouterr().out and not list(Path('out/pairs').iterdir())


def test_files(phantom, capsys):
    files = [str(phantom / 'covidx_ct' / f'{split}_phantom.txt') for split in ('train', 'val')]
    images = str(phantom / 'covidx_ct' / '2A_images')
    assert tool.main([*files, '--images', images, '--workers=1', '--out=out']) == 0
    twice = f'train={files[0]}', f'test={files[0]}'
    assert tool.main([*twice, '--images', images, '--workers=1', '--out=out']) == 1
    assert {
        each['kind'] for each in json.loads(Path('out/leakage.json').read_text())['findings']
    } == {'patient', 'exact'}


@pytest.mark.parametrize(
    'arguments, message',
    [
        (['absent.txt', 'b.txt', '--images=i'], 'absent.txt: no such annotation file'),
        (['absent.py'], 'absent.py'),
        ([CONFIG, CONFIG], 'one config at a time'),
        (
            [
                'data/phantom/covidx_ct/test_phantom.txt',
                '--images=data/phantom/covidx_ct/2A_images',
                '--allow=similar',
            ],
            'no kind of leakage',
        ),
    ],
)
def test_an_audit_that_cannot_be_made(phantom, arguments, message, capsys):
    assert tool.main([*arguments, '--workers=1']) == 2
    assert message in capsys.readouterr().err


def test_files_need_their_images(capsys):
    with pytest.raises(SystemExit) as end:
        tool.main(['a.txt', 'b.txt'])
    assert end.value.code == 2 and '--images' in capsys.readouterr().err


def test_training_stops_at_leakage(phantom, monkeypatch):
    trained = []
    monkeypatch.setattr(train, 'build_runner', trained.append)
    leak(phantom)
    with pytest.raises(SystemExit, match='--audit-allow'):
        train.main([CONFIG, '--audit'])
    assert not trained
    assert Path('work_dirs', Path(CONFIG).stem, 'leakage', 'pairs', 'near_01.png').is_file()
    with pytest.raises(AttributeError):  # of what stands for the runner
        train.main([CONFIG, '--audit', '--audit-allow', 'near'])
    assert len(trained) == 1
