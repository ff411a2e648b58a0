from pathlib import Path

from filelock import FileLock, Timeout
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmcovid.registry import HOOKS
from mmcovid.utils.errors import TrainingError


@HOOKS.register_module()
class WorkDirLockHook(Hook):
    """Keeps a second training out of the folder of the first.

    Args:
        timeout (float): Seconds to wait for a training that ends. Defaults to 5.
    """

    priority = 'VERY_HIGH'

    def __init__(self, timeout: float = 5) -> None:
        self.timeout = timeout

    @master_only
    def before_train(self, runner: Runner) -> None:
        """Take the folder.

        Raises:
            TrainingError: Another process trains there.
        """
        # one lock for all trainings of a process: one that failed in a notebook may start again
        self._lock = FileLock(Path(runner.work_dir, '.training.lock'), is_singleton=True)
        try:
            self._lock.acquire(timeout=self.timeout)
        except Timeout as error:
            raise TrainingError(
                f'{runner.work_dir}: another training writes here. Wait for its end, or name '
                'another folder by --work-dir.'
            ) from error

    @master_only
    def after_train(self, runner: Runner) -> None:
        """Give the folder back."""
        self._lock.release()
