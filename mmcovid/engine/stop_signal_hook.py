import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import torch
from mmengine.dist import all_reduce, get_world_size
from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop, Runner

from mmcovid.registry import HOOKS

from .checkpoint_hook import CheckpointHook

SIGNALS = (signal.SIGTERM, signal.SIGINT)
_PR_SET_PDEATHSIG = 1  # of <sys/prctl.h>


@HOOKS.register_module()
class StopSignalHook(Hook):
    """Ends a training at SIGTERM or SIGINT, as clusters and Ctrl-C send them.

    The running iteration is ended, a last checkpoint is written, and the process exits with 128
    and the number of the signal: 143 or 130. A second signal ends it at once; of several processes
    only their launcher does. A signal that is ignored already stays so: shells have SIGINT ignored
    by what scripts start in the background. A training that counts epochs ends at the first
    signal, without a checkpoint.

    Processes that load data are in groups of their own, so that Ctrl-C and what else is sent to a
    group is the training's alone. They end with it, even if it is killed.
    """

    priority = 'LOWEST'

    #: Handlers before those of this class, whose trainings may have failed.
    _former: ClassVar[dict[int, Any]] = {}

    def __init__(self) -> None:
        self.received: int | None = None

    def before_train(self, runner: Runner) -> None:
        """Listen to the signals, where Python allows it: in the main thread."""
        for loop in filter(None, (runner.train_loop, runner.val_loop)):
            loader = loop.dataloader  # which starts its processes with the first batch
            if loader.num_workers:
                loader.worker_init_fn = partial(_init_worker, loader.worker_init_fn)
        self.received = None
        in_main_thread = threading.current_thread() is threading.main_thread()
        if in_main_thread and isinstance(runner.train_loop, IterBasedTrainLoop):
            for number in SIGNALS:
                if signal.getsignal(number) != signal.SIG_IGN:
                    self._former.setdefault(number, signal.signal(number, self._note))

    def after_train_iter(self, runner: Runner, *args, **kwargs) -> None:
        """End the training if a signal has come, to this process or to another one of it."""
        received = self.received or 0
        if get_world_size() > 1:
            flag = torch.tensor(received, device=next(runner.model.parameters()).device)
            all_reduce(flag, op='max')
            received = int(flag)
        if received:
            self._end(runner, received, runner.iter + 1)

    def after_val_iter(self, runner: Runner, *args, **kwargs) -> None:
        """End a validation during the training; several processes end after it."""
        if self.received and get_world_size() == 1:
            self._end(runner, self.received, runner.iter)

    def after_train(self, runner: Runner) -> None:
        """Leave the signals to those who had them before."""
        self._restore()

    def _note(self, number: int, frame: object) -> None:
        self.received = number
        if get_world_size() == 1:
            self._restore()

    @classmethod
    def _restore(cls) -> None:
        while cls._former:
            signal.signal(*cls._former.popitem())

    @staticmethod
    def _end(runner: Runner, received: int, iteration: int) -> None:
        for hook in runner.hooks:
            if isinstance(hook, CheckpointHook):
                hook.save_unless_saved(runner, iteration)
        runner.logger.warning(
            f'{signal.Signals(received).name}: the training ends after iteration {iteration}. Go '
            'on with --resume.'
        )
        raise SystemExit(128 + received)


def _init_worker(init: Callable[[int], None] | None, worker: int) -> None:
    """Begin a process that loads data."""
    os.setpgrp()  # what is sent to the group of the training does not reach it
    if sys.platform == 'linux':
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        parent = multiprocessing.parent_process()
        if parent is not None and not parent.is_alive():  # killed before that
            os._exit(1)
    if init is not None:
        init(worker)
