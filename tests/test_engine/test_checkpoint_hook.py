import errno
import os
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from training_utils import checkpoints, named, number_runner

from mmcovid.checkpoints.whole import is_whole
from mmcovid.utils.errors import TrainingError

CONFIGS = (
    'one_shot/one-shot_r18_fpn_lstm2_ictcf.py',
    'baselines/mask-rcnn_r50_fpn_cncb.py',
    'phantom/classifier_r18_phantom.py',
)


class Broken(Exception):
    """What ends a training in these tests."""


class Breaker(Hook):
    """Breaks a training off, after the hooks of the checkpoint or in a validation."""

    priority = 'LOWEST'

    def __init__(self, after=None, in_validation=False):
        self.after = after
        self.in_validation = in_validation

    def after_train_iter(self, runner, *args, **kwargs):
        if runner.iter + 1 == self.after:
            raise Broken

    def before_val(self, runner):
        if self.in_validation:
            raise Broken


def broken(work_dir, **options):
    with pytest.raises(Broken):
        number_runner(work_dir, **options).train()


def weight(path):
    return torch.load(path, weights_only=False)['state_dict']['weight']


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize('path', CONFIGS)
def test_every_config_has_it(path, load_config):
    hooks = load_config(path).default_hooks
    assert hooks.checkpoint.type == 'mmcovid.CheckpointHook'
    assert {'work_dir_lock', 'divergence', 'stop_signal'} <= hooks.keys()


def test_keeps_as_many_as_it_is_told(tmp_path):
    number_runner(tmp_path, iters=8).train()
    assert checkpoints(tmp_path) == ['iter_6.pth', 'iter_8.pth']
    assert named(tmp_path) == 'iter_8.pth'
    assert all(is_whole(tmp_path / name) for name in checkpoints(tmp_path))


def test_deletes_when_the_new_one_has_shown_to_be_sound(tmp_path):
    options = {'default_hooks.checkpoint.max_keep_ckpts': 1}
    broken(tmp_path, hooks=[Breaker(after=4)], **options)
    assert checkpoints(tmp_path) == ['iter_2.pth', 'iter_4.pth']
    broken(tmp_path, resume=True, hooks=[Breaker(after=5)], **options)
    assert checkpoints(tmp_path) == ['iter_4.pth']


@pytest.mark.parametrize('share', [0, 0.5, 1])
def test_a_full_disk_leaves_all_that_was_there(tmp_path, monkeypatch, share):
    write = Path.write_bytes

    def fill(path, data):
        if 'iter_4' in path.name:
            write(path, data[: int(share * len(data))])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(path, data)

    monkeypatch.setattr(Path, 'write_bytes', fill)
    with pytest.raises(TrainingError, match='No space left on device.*go on with --resume'):
        number_runner(tmp_path).train()
    assert checkpoints(tmp_path) == [named(tmp_path)] == ['iter_2.pth']
    assert is_whole(tmp_path / 'iter_2.pth')


def test_a_former_best_is_there_until_the_new_one_is(tmp_path, monkeypatch):
    best = {
        'train_cfg.val_interval': 2,
        'default_hooks.checkpoint.save_best': 'number/grows',
        'default_hooks.checkpoint.rule': 'greater',
    }
    seen = []
    write = Path.write_bytes

    def look(path, data):
        seen.append(sorted(each.name for each in tmp_path.glob('best_*.pth')))
        return write(path, data)

    monkeypatch.setattr(Path, 'write_bytes', look)
    number_runner(tmp_path, iters=4, **best).train()
    first, second = 'best_number_grows_iter_2.pth', 'best_number_grows_iter_4.pth'
    # as iter_2, best, iter_2 with its name, iter_4, best, iter_4 are written
    assert seen == [[], [], [first], [first], [first], [first, second]]
    assert sorted(path.name for path in tmp_path.glob('best_*')) == [second]


def test_goes_on_from_the_newest_that_is_whole(tmp_path, capfd):
    number_runner(tmp_path / 'unbroken').train()
    number_runner(tmp_path / 'broken').train()
    cut(tmp_path / 'broken/iter_6.pth')
    number_runner(tmp_path / 'broken', resume=True).train()
    said = ''.join(capfd.readouterr())
    assert 'iter_6.pth: no whole checkpoint. The training goes on from' in said
    assert 'resumed epoch: 0, iter: 4' in said
    assert weight(tmp_path / 'broken/iter_6.pth') == weight(tmp_path / 'unbroken/iter_6.pth')


@pytest.mark.parametrize('text', [None, '', 'elsewhere/iter_6.pth', 'elsewhere/iter_7.pth'])
def test_does_not_depend_on_what_last_checkpoint_names(tmp_path, text, capfd):
    number_runner(tmp_path).train()
    (tmp_path / 'last_checkpoint').unlink()
    if text is not None:
        (tmp_path / 'last_checkpoint').write_text(text)
    number_runner(tmp_path, iters=7, resume=True).train()
    assert 'resumed epoch: 0, iter: 6' in ''.join(capfd.readouterr())


def test_does_not_begin_anew_by_itself(tmp_path):
    number_runner(tmp_path).train()
    for name in checkpoints(tmp_path):
        cut(tmp_path / name)
    with pytest.raises(TrainingError, match='no checkpoint is whole, 2: iter_6.pth, iter_4.pth'):
        number_runner(tmp_path, resume=True).train()
    with pytest.raises(TrainingError, match='iter_6.pth: no whole checkpoint. Name another one'):
        number_runner(tmp_path, resume=True, load_from=str(tmp_path / 'iter_6.pth')).train()


def test_a_resumed_training_makes_up_for_its_validation(tmp_path):
    best = {
        'train_cfg.val_interval': 4,
        'default_hooks.checkpoint.save_best': 'number/grows',
        'default_hooks.checkpoint.rule': 'greater',
    }
    broken(tmp_path, hooks=[Breaker(in_validation=True)], **best)
    assert not list(tmp_path.glob('best_*'))
    broken(tmp_path, resume=True, hooks=[Breaker(after=5)], **best)
    assert [path.name for path in tmp_path.glob('best_*')] == ['best_number_grows_iter_4.pth']


def test_clears_what_a_killed_training_left(tmp_path):
    number_runner(tmp_path, iters=2).train()
    (tmp_path / '.iter_4.1234.tmp.pth').write_bytes(b'half')
    number_runner(tmp_path, resume=True).train()
    assert checkpoints(tmp_path) == ['iter_4.pth', 'iter_6.pth']
