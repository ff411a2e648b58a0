from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmengine.dist import is_main_process, master_only
from mmengine.hooks import CheckpointHook as _CheckpointHook
from mmengine.runner import IterBasedTrainLoop, Runner

from mmcovid.checkpoints.whole import (
    BACKEND,
    POINTER,
    find_whole,
    is_whole,
    numbered_checkpoints,
)
from mmcovid.registry import HOOKS
from mmcovid.utils.errors import TrainingError
from mmcovid.utils.files import write_text


@HOOKS.register_module()
class CheckpointHook(_CheckpointHook):
    """MMEngine's hook, in an order that leaves a whole checkpoint at any moment.

    A checkpoint is written beside its place, synced and renamed; then ``last_checkpoint`` names
    it; and what it makes superfluous is deleted when one more iteration has shown that its
    weights are sound. A training is resumed from a whole checkpoint only, and makes up for the
    validation that was due at it.

    Args:
        *args: Those of :class:`mmengine.hooks.CheckpointHook`.
        **kwargs: As there.
    """

    backend_args: dict | None  #: see the parent
    keep_ckpt_ids: deque[int]  #: see the parent

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        chosen = self.backend_args or self.file_client_args
        if not chosen and '://' not in str(self.out_dir):
            self.backend_args = dict(backend=BACKEND)

    def before_run(self, runner: Runner) -> None:
        """Choose the checkpoint to resume from.

        Raises:
            TrainingError: The one that was asked for is damaged, or all are.
        """
        if not runner._resume:  # MMEngine has no public names for what it was asked for
            return
        named = runner._load_from
        if named is None:
            found, damaged = find_whole(Path(runner.work_dir), self.filename_tmpl)
            for path in damaged:
                runner.logger.warning(
                    f'{path}: no whole checkpoint. The training goes on from {found}.'
                )
            runner._load_from = found and str(found)
        elif Path(named).is_file() and not is_whole(named):
            raise TrainingError(
                f'{named}: no whole checkpoint. Name another one, or none: then --resume takes the '
                'newest of the work dir that is whole.'
            )

    def before_train(self, runner: Runner) -> None:
        """Delete what a killed training left half written."""
        super().before_train(runner)
        if is_main_process():
            for path in Path(self.out_dir).glob('.*.tmp.pth'):
                path.unlink()
                runner.logger.info(f'{path}: half a checkpoint of a killed training, deleted')

    def before_train_epoch(self, runner: Runner) -> None:
        """Validate what was saved before its validation, or in it, when the training was broken."""
        loop = runner.train_loop
        if not isinstance(loop, IterBasedTrainLoop) or loop.iter == 0 or runner.val_loop is None:
            return
        loop._decide_current_val_interval()
        due = loop.iter % loop.val_interval == 0 or loop.iter == loop.max_iters
        if due and loop.iter >= loop.val_begin:
            runner.val_loop.run()

    def after_train_iter(self, runner: Runner, *args, **kwargs) -> None:
        """Delete what is superfluous, and save if it is time to."""
        self._rotate()
        super().after_train_iter(runner, *args, **kwargs)

    def after_train(self, runner: Runner) -> None:
        """Delete what is superfluous."""
        self._rotate()
        super().after_train(runner)

    def save_unless_saved(self, runner: Runner, iteration: int) -> None:
        """Save a training that counts iterations after so many, unless that is done already."""
        if self.last_ckpt != self._path(iteration):
            meta = dict(epoch=runner.epoch, iter=iteration)
            self._save_checkpoint_with_step(runner, iteration, meta)

    @master_only
    def reject(self, runner: Runner, iteration: int) -> None:
        """Put the last checkpoint aside if its weights, of so many iterations, have diverged.

        The whole one before it, if there is one, is the last again.
        """
        path, pointer = Path(self._path(iteration)), Path(runner.work_dir, POINTER)
        if not pointer.is_file() or Path(pointer.read_text(encoding='utf-8')).name != path.name:
            return
        before = numbered_checkpoints(path.parent, self.filename_tmpl, below=iteration)
        if good := next(filter(is_whole, before), None):
            write_text(str(good), pointer, durable=True)
        else:
            pointer.unlink()
        path.rename(path.with_name(f'diverged_{path.name}'))

    def _path(self, step: int) -> str:
        return self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(step))

    def _remove(self, path: str) -> None:
        if is_main_process() and self.file_backend.isfile(path):
            self.file_backend.remove(path)

    def _rotate(self) -> None:
        """Delete checkpoints until as many are left as are to be kept."""
        while 0 < self.max_keep_ckpts < len(self.keep_ckpt_ids):
            self._remove(self._path(self.keep_ckpt_ids.popleft()))

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        """As the parent's, which deletes the old before it writes the new."""
        if self.max_keep_ckpts > 0:
            # one too many until the next rotation; a resumed training makes up for it
            self.keep_ckpt_ids = deque([*(i for i in self.keep_ckpt_ids if i != step), step])
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        self.last_ckpt = self._path(step)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        with self._explained():
            runner.save_checkpoint(
                self.out_dir,
                self.filename_tmpl.format(step),
                self.file_client_args,
                save_optimizer=self.save_optimizer,
                save_param_scheduler=self.save_param_scheduler,
                meta=meta,
                by_epoch=self.by_epoch,
                backend_args=self.backend_args,
                **self.args,
            )
            if is_main_process():
                write_text(self.last_ckpt, Path(runner.work_dir, POINTER), durable=True)

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        """As the parent's, which deletes the former best before it writes the new."""
        if not self.save_best:
            return
        former = self._best
        self._best = dict.fromkeys(former)
        with self._explained():
            super()._save_best_checkpoint(runner, metrics)
        found = self._best
        self._best = {key: found[key] or path for key, path in former.items()}
        for key, path in former.items():
            if path and found[key] and path != found[key]:
                self._remove(path)

    @property
    def _best(self) -> dict[str, str | None]:
        """Paths of the best checkpoints by the figures that they are best in."""
        if len(self.key_indicators) == 1:
            return {self.key_indicators[0]: self.best_ckpt_path}
        return self.best_ckpt_path_dict

    @_best.setter
    def _best(self, paths: dict[str, str | None]) -> None:
        if len(self.key_indicators) == 1:
            (self.best_ckpt_path,) = paths.values()
        else:
            self.best_ckpt_path_dict = paths

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise TrainingError(
                f'{self.out_dir}: the checkpoint cannot be written ({error.strerror}). Those '
                'before are whole: make room, or mend the folder, and go on with --resume.'
            ) from error
