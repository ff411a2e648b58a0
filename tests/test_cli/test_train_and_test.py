"""The training and the test script, on a model of one weight and a set of four numbers."""

import errno
import json
import os
import pickle
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from tools_utils import CONFIG, TOOLS, TOY

from mmcovid.checkpoints import guard
from mmcovid.cli import runner as cli
from mmcovid.cli import test, train


@pytest.fixture
def config(tmp_path, monkeypatch):
    """The path of a toy config; the working folder is a fresh one."""
    (tmp_path / 'toy_of_the_tools_test.py').write_text(TOY)
    (tmp_path / 'toy.py').write_text(CONFIG)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('LOCAL_RANK', '0')
    return 'toy.py'


def iterations(checkpoint):
    return torch.load(checkpoint, weights_only=False)['meta']['iter']


def test_train_resume_test(config, capfd):
    train.main([config])
    assert iterations('work_dirs/toy/iter_2.pth') == 2
    train.main([config, '--resume', '--cfg-options', 'train_cfg.max_iters=4'])
    assert iterations('work_dirs/toy/iter_4.pth') == 4
    train.main(
        [
            config,
            '--work-dir',
            'other',
            '--resume',
            'work_dirs/toy/iter_4.pth',
            '--cfg-options',
            'train_cfg.max_iters=6',
        ]
    )
    assert sorted(path.name for path in Path('other').glob('*.pth')) == ['iter_6.pth']

    capfd.readouterr()
    test.main([config, 'other/iter_6.pth', '--work-dir', 'tested', '--out', 'tested/all.pkl'])
    out, err = capfd.readouterr()
    assert 'accuracy  0.0600' in out
    # The safe way of loading sufficed: MMEngine says so when it does not.
    assert 'weights_only=False' not in out + err
    assert json.loads(Path('tested/test_results.json').read_text()) == {
        'image/accuracy': 0.06,
        'image/covid19_auroc': None,
    }
    with open('tested/all.pkl', 'rb') as file:
        assert [float(sample['number']) for sample in pickle.load(file)] == [0, 1, 2, 3]
    assert not Path('tested/all.pkl.part.pkl').exists()


@pytest.mark.parametrize(
    'error',
    [
        RuntimeError('DataLoader worker (pid 7) is killed by signal: Killed. '),  # as PyTorch's
        ConnectionResetError('Connection reset by peer'),
    ],
)
def test_a_lost_loading_process_is_told(error):
    with pytest.raises(SystemExit) as end, train.exit_on_killed_loading():
        raise error
    said = str(end.value)
    assert str(error).strip(' .') in said
    assert ': a process that loads data is gone. ' in said and 'Go on with --resume' in said
    with pytest.raises(RuntimeError, match='of another kind'), train.exit_on_killed_loading():
        raise RuntimeError('of another kind')


def test_a_work_dir_that_cannot_be_written_to_is_told(config, monkeypatch):
    def refuse(cfg):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), cfg.work_dir)

    monkeypatch.setattr(train, 'build_runner', refuse)
    with pytest.raises(
        SystemExit, match="error: .*Read-only.*'work_dirs/toy': the work dir cannot"
    ):
        train.main([config])
    monkeypatch.setattr(train, 'build_runner', lambda cfg: Path('nothing').stat())
    with pytest.raises(FileNotFoundError):
        train.main([config])


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason='MMEngine joins the processes itself')
def test_two_processes_without_cuda(config, tmp_path):
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = str(free.getsockname()[1])
    env = dict(os.environ, PORT=port, PYTHON=sys.executable, OMP_NUM_THREADS='1')
    env['PYTHONPATH'] = os.pathsep.join([str(tmp_path), str(TOOLS.parent)])
    env.pop('LOCAL_RANK')
    done = subprocess.run(
        [TOOLS / 'dist_train.sh', config, '2'], env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert iterations('work_dirs/toy/iter_2.pth') == 2
    assert 'Distributed launcher: pytorch' in done.stdout + done.stderr


class Bomb:
    def __reduce__(self):
        return os.mkdir, ('exploded',)


@pytest.mark.skipif(torch.__version__ < '2.6', reason='PyTorch cannot be told to refuse')
def test_checkpoint_with_code_is_refused(config):
    torch.save({'state_dict': {}, 'meta': Bomb()}, 'bomb.pth')
    with pytest.raises(SystemExit, match='TORCH_FORCE_WEIGHTS_ONLY_LOAD=0'):
        test.main([config, 'bomb.pth'])
    assert not Path('exploded').exists()
    assert guard.FORCE_SAFE not in os.environ


def test_trust_is_the_users_choice(monkeypatch):
    monkeypatch.setenv(guard.FORCE_SAFE, '0')
    with guard.safe_checkpoints():
        assert os.environ[guard.FORCE_SAFE] == '0'
    monkeypatch.delenv(guard.FORCE_SAFE)
    monkeypatch.setenv(guard.FORCE_UNSAFE, '1')
    with guard.safe_checkpoints():
        assert guard.FORCE_SAFE not in os.environ


def test_options_reach_the_config(config):
    args = train.parse_args(
        [
            config,
            '--work-dir',
            'here',
            '--cfg-options',
            'train_cfg.max_iters=7',
            'optim_wrapper.optimizer.lr=0.5',
            '--launcher',
            'none',
        ]
    )
    cfg = cli.load_config(args)
    assert (cfg.work_dir, cfg.launcher) == ('here', 'none')
    assert cfg.train_cfg.max_iters == 7
    assert cfg.optim_wrapper.optimizer == dict(type='SGD', lr=0.5)
    assert cli.load_config(train.parse_args([config])).work_dir == 'work_dirs/toy'


def test_work_dir_of_the_config_is_kept(config):
    args = train.parse_args([config, '--cfg-options', 'work_dir=mine'])
    assert cli.load_config(args).work_dir == 'mine'


@pytest.mark.parametrize(
    'cuda, expected',
    [
        (True, dict(type='AmpOptimWrapper', loss_scale='dynamic')),
        (False, dict(type='mmcovid.BF16OptimWrapper')),
    ],
)
def test_amp(cuda, expected, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: cuda)
    monkeypatch.setattr(torch.backends.mkldnn, 'is_available', lambda: False)
    cfg = Config(dict(optim_wrapper=dict(type='OptimWrapper')))
    train.enable_amp(cfg)
    assert cfg.optim_wrapper == expected
    assert ('--amp: this CPU emulates bfloat16' in capsys.readouterr().out) != cuda


def test_amp_keeps_what_the_config_chose():
    cfg = Config(dict(optim_wrapper=dict(type='ApexOptimWrapper')))
    train.enable_amp(cfg)
    assert cfg.optim_wrapper == dict(type='ApexOptimWrapper')


def test_pictures_need_the_hook(config):
    cfg = Config(dict(default_hooks=dict(visualization=dict(type='DetVisualizationHook'))))
    test.draw_into(cfg, 'pictures')
    assert cfg.default_hooks.visualization.draw
    assert cfg.default_hooks.visualization.test_out_dir == str(Path('pictures').resolve())
    with pytest.raises(ValueError, match='needs default_hooks.visualization'):
        test.draw_into(Config(), 'pictures')


def test_wrong_arguments(config, capsys):
    with pytest.raises(SystemExit, match='there is no config nothing.py'):
        train.main(['nothing.py'])
    with pytest.raises(SystemExit):
        test.main([config, 'nothing.pth'])
    assert 'there is no checkpoint nothing.pth' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        test.main([config, config, '--out', 'predictions.json'])
    assert 'name it .pkl' in capsys.readouterr().err
