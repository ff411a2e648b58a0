import multiprocessing

import pytest
from filelock import FileLock
from training_utils import number_runner

from mmcovid.utils.errors import TrainingError


def hold(path, held, done):
    with FileLock(path):
        held.set()
        done.wait()


def test_two_trainings_do_not_write_into_one_folder(tmp_path):
    context = multiprocessing.get_context('fork')
    held, done = context.Event(), context.Event()
    other = context.Process(target=hold, args=(tmp_path / '.training.lock', held, done))
    other.start()
    held.wait()
    with pytest.raises(TrainingError, match='another training writes here. Wait for its end'):
        number_runner(tmp_path).train()
    assert not list(tmp_path.glob('*.pth'))
    done.set()
    other.join()
    number_runner(tmp_path).train()


def test_a_training_that_failed_may_start_again(tmp_path, monkeypatch):
    runner = number_runner(tmp_path)
    monkeypatch.setattr(runner.model, 'train_step', lambda *args, **kwargs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        runner.train()
    number_runner(tmp_path).train()
