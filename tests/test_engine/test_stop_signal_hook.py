import multiprocessing
import os
import signal

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
            signal.raise_signal(self.number)


@pytest.fixture(autouse=True)
def handlers():
    """Those that Python begins with, which tests in the background of a script have not; none is
    left behind."""
    StopSignalHook._restore()  # those of trainings that failed in other tests
    former = [signal.getsignal(number) for number in SIGNALS]
    defaults = [signal.SIG_DFL, signal.default_int_handler]
    for number, default in zip(SIGNALS, defaults):
        signal.signal(number, default)
    yield
    assert [signal.getsignal(number) for number in SIGNALS] == defaults
    for number, handler in zip(SIGNALS, former):
        signal.signal(number, handler)


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


def test_a_signal_that_is_ignored_stays_so(tmp_path):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    number_runner(tmp_path, hooks=[Sender(signal.SIGINT, at=3)]).train()
    assert named(tmp_path) == 'iter_6.pth'
    assert signal.signal(signal.SIGINT, signal.default_int_handler) == signal.SIG_IGN


class Interrupt(Hook):
    """Sends SIGINT to the group of the training, as Ctrl-C does."""

    def after_train_iter(self, runner, *args, **kwargs):
        (self.loading,) = psutil.Process().children()
        os.killpg(0, signal.SIGINT)


def test_processes_that_load_data_end_by_the_training_only(tmp_path):
    """In a process of its own, as it interrupts its group."""

    def target():
        os.setpgrp()
        interrupt = Interrupt()
        try:
            number_runner(tmp_path, workers=1, hooks=[interrupt]).train()
        except SystemExit as end:
            alive = interrupt.loading.status() != psutil.STATUS_ZOMBIE
            (tmp_path / 'seen').write_text(f'{end.code} {alive} {interrupt.loading.pid}')
            os.kill(os.getpid(), signal.SIGKILL)

    training = multiprocessing.get_context('fork').Process(target=target)
    training.start()
    training.join()
    assert training.exitcode == -signal.SIGKILL
    code, alive, pid = (tmp_path / 'seen').read_text().split()
    assert (code, alive, named(tmp_path)) == ('130', 'True', 'iter_1.pth')
    psutil.wait_procs([psutil.Process(int(pid))] if psutil.pid_exists(int(pid)) else [], 4)
    assert not psutil.pid_exists(int(pid))
