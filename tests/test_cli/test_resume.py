"""A training that is killed and resumed ends with the weights of an unbroken one."""

import os
import signal
import subprocess
import sys

import pytest
import torch
from mmengine.config import Config
from models_utils import narrow

from mmcovid.data_tools.phantom.dataset import SplitSize, write_phantom_set

KILLER = """
import os
import signal

from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class Killer(Hook):
    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == int(os.environ.get('KILLED_AT', -1)):
            os.killpg(0, signal.SIGKILL)  # the workers too, which would wait for ever
"""


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A working folder with a small phantom set."""
    folder = tmp_path_factory.mktemp('resume')
    sizes = dict.fromkeys(('train', 'val', 'test'), SplitSize(2, 2))
    write_phantom_set(
        folder / 'data/phantom', sizes, sizes, SplitSize(0, 1), size=64, show_progress=False
    )
    (folder / 'killer.py').write_text(KILLER)
    return folder


def write_config(repo, folder, name, workers):
    """Seven iterations of a phantom config, with an augmentation that draws."""
    config = narrow(Config.fromfile(repo / f'configs/phantom/{name}.py'))
    loader = config.train_dataloader
    loader.update(num_workers=workers, persistent_workers=workers > 0)
    for part in filter(None, (loader.dataset.seg, loader.dataset.cls)):
        for transform in part.pipeline:
            if transform.type == 'Resize':
                transform.scale = (64, 64)
        part.pipeline.insert(-1, dict(type='RandomFlip', prob=0.5))
    config.update(val_cfg=None, val_dataloader=None, val_evaluator=None)
    config.train_cfg.max_iters = 7
    config.default_hooks.checkpoint = dict(
        type='CheckpointHook', by_epoch=False, interval=3, max_keep_ckpts=2
    )
    config.custom_imports = dict(imports=['killer'])
    config.custom_hooks = [dict(type='Killer')]
    config.dump(folder / f'{name}_{workers}.py')
    return f'{name}_{workers}.py'


@pytest.mark.slow
@pytest.mark.parametrize(
    'name, workers',
    [
        ('one-shot_r18_fpn_lstm2_phantom', 2),
        ('mask-rcnn_r18_fpn_phantom', 2),
        ('classifier_r18_phantom', 0),
    ],
)
def test_a_killed_training_goes_on_as_an_unbroken_one(repo, folder, name, workers):
    config = write_config(repo, folder, name, workers)

    def train(work_dir, *args, **env):
        path = os.pathsep.join([str(folder), str(repo)])
        return subprocess.run(
            [sys.executable, repo / 'tools/train.py', config, '--work-dir', work_dir, *args],
            cwd=folder,
            env=dict(os.environ, PYTHONPATH=path, OMP_NUM_THREADS='1', **env),
            capture_output=True,
            text=True,
            start_new_session=True,
        )

    unbroken, broken = f'unbroken_{config[:-3]}', f'broken_{config[:-3]}'
    done = train(unbroken)
    assert done.returncode == 0, done.stderr[-2000:]
    assert train(broken, KILLED_AT='5').returncode == -signal.SIGKILL
    done = train(broken, '--resume')
    assert done.returncode == 0, done.stderr[-2000:]
    log = done.stdout + done.stderr
    assert 'iter_3.pth' in log and 'Fast sampler-level resume is unavailable' not in log

    expected, found = (
        torch.load(folder / part / 'iter_7.pth', weights_only=False) for part in (unbroken, broken)
    )
    for part in (lambda each: each['state_dict'], lambda each: each['optimizer']['state']):
        torch.testing.assert_close(part(found), part(expected), rtol=0, atol=0)
