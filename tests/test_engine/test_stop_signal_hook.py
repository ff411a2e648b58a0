import os
import signal
import subprocess

import psutil
import pytest
import torch
from mmengine.hooks import Hook
from training_utils import checkpoints, named, number_runner

from mmcovid.engine import StopSignalHook

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Sender(Hook):
    """Sends a signal to the training, in an iteration or in the first validation."""

    def __init__(self, number, at=None, times=1):
        self.number, self.at, self.times = number, at, times

    def before_train_iter(self, runner, *args, **kwargs):
        if runner.iter + 1 == self.at:
            self.send()

    def before_val_iter(self, runner, *args, **kwargs):
        if self.at is None:
            self.send()

    def send(self):
        for _ in range(self.times):
            os.kill(os.getpid(), self.number)


@pytest.fixture(autouse=True)
def handlers():
    """None is left behind."""
    StopSignalHook._restore()  # those of trainings that failed in other tests
    before = [signal.getsignal(number) for number in SIGNALS]
    yield
    assert [signal.getsignal(number) for number in SIGNALS] == before


def state(path):
    content = torch.load(path, weights_only=False)
    return content['state_dict']['weight'], content['meta']['iter']


@pytest.mark.parametrize('number, code', [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_it_with_a_checkpoint(tmp_path, number, code):
    number_runner(tmp_path / 'unbroken').train()
    with pytest.raises(SystemExit) as end:
        number_runner(tmp_path / 'broken', hooks=[Sender(number, at=3)]).train()
    assert end.value.code == code
    assert checkpoints(tmp_path / 'broken') == ['iter_2.pth', 'iter_3.pth']
    assert named(tmp_path / 'broken') == 'iter_3.pth'
    number_runner(tmp_path / 'broken', resume=True).train()
    assert state(tmp_path / 'broken/iter_6.pth') == state(tmp_path / 'unbroken/iter_6.pth')


def test_a_signal_in_a_validation_ends_that_too(tmp_path):
    options = {'train_cfg.val_interval': 3}
    with pytest.raises(SystemExit, match='143'):
        number_runner(tmp_path, hooks=[Sender(signal.SIGTERM)], **options).train()
    assert named(tmp_path) == 'iter_3.pth'
    assert state(tmp_path / 'iter_3.pth')[1] == 3


def test_the_second_signal_ends_it_at_once(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        number_runner(tmp_path, hooks=[Sender(signal.SIGINT, at=3, times=2)]).train()
    assert checkpoints(tmp_path) == ['iter_2.pth']


class Outsider(Hook):
    """Sends SIGTERM to the processes that load data, as who ends all processes of a job does."""

    def after_train_iter(self, runner, *args, **kwargs):
        self.loading = psutil.Process().children()
        for process in self.loading:
            subprocess.run(['kill', '-TERM', str(process.pid)], check=True)


def test_processes_that_load_data_listen_to_the_training_only(tmp_path):
    outsider = Outsider()
    number_runner(tmp_path, workers=1, hooks=[outsider]).train()
    assert len(outsider.loading) == 1
    assert named(tmp_path) == 'iter_6.pth'
    for process in outsider.loading:  # ended by the training, which is in this process
        assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
