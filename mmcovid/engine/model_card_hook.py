import copy
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmcovid import cards
from mmcovid.cards import facts
from mmcovid.cards.record import begin_card
from mmcovid.cards.schema import Card, CheckpointFile, Run, SetFacts, TrainingFacts
from mmcovid.registry import DATASETS, HOOKS
from mmcovid.utils.files import sha256, to_plain


@HOOKS.register_module()
class ModelCardHook(Hook):
    """Keeps ``model_card.json`` and ``model_card.md`` in the work dir of a training.

    The card is written when the training begins, with each checkpoint and validation, and at the
    end, by the main process. A resumed training continues the card beside its checkpoint. What
    cannot be found out is a warning, and is listed in the card; it never ends a training.
    """

    priority = 'LOWEST'  # after the hook that writes checkpoints

    def __init__(self) -> None:
        self.card: Card | None = None

    @master_only
    def before_train(self, runner: Runner) -> None:
        """Begin the card, or continue that of the resumed training."""
        self._begun = time.monotonic()
        self._saved = runner.iter
        self.card = None
        self._missing: dict[str, str] = {}
        self._try('the training', self._begin, runner)
        self._write(runner)

    @master_only
    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Note how far the training is."""
        if self.card is not None:
            self._saved = checkpoint['meta']['iter']
            self._note_progress(self.card, runner, self._saved)
            self._write(runner)

    @master_only
    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Note the figures of a validation during the training."""
        if self.card is not None:
            self.card['validation'] = dict(iteration=runner.iter, metrics=to_plain(metrics or {}))
            self._note_progress(self.card, runner, runner.iter)
            self._write(runner)

    @master_only
    def after_train(self, runner: Runner) -> None:
        """Complete the card."""
        if self.card is None:
            return
        self.card['training']['finished'] = runner.iter >= runner.max_iters
        self._note_progress(self.card, runner, runner.iter)
        self.card['checkpoint'] = self._try('the last checkpoint', self._last_checkpoint, runner)
        self._write(runner)
        self.card = None  # what else the runner validates is no part of the training

    def _begin(self, runner: Runner) -> None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        previous = self._try('the card of the resumed training', self._previous, runner)
        self.card = begin_card(
            runner.cfg,
            previous,
            metainfo=getattr(runner.train_dataloader.dataset, 'metainfo', {}),
            iteration=runner.iter,
            max_iterations=runner.max_iters,
            seed=runner.seed,
            deterministic=runner.deterministic,
            model=self._try('the model', facts.model_facts, model),
            initial_weights=previous['initial_weights']
            if previous
            else self._try('the initial weights', facts.initial_weights, runner.cfg),
            software=self._try('the software', facts.software_facts),
            hardware=self._try('the hardware', facts.hardware_facts),
            data={
                role: self._try(f'the {role} data', self._data, runner, role) or []
                for role in ('train', 'val', 'test')
            },
            missing=self._missing,
        )
        self._note_progress(self.card, runner, runner.iter)

    @staticmethod
    def _previous(runner: Runner) -> Card | None:
        """The card of the training that is resumed; None if it begins, or had none."""
        if runner.iter == 0:
            return None
        checkpoint = runner.cfg.get('load_from')
        return cards.read_model_card(Path(checkpoint).parent if checkpoint else runner.work_dir)

    @staticmethod
    def _data(runner: Runner, role: str) -> list[SetFacts]:
        if role == 'train':
            return facts.data_facts(runner.train_dataloader.dataset)
        if role == 'val' and runner.val_loop is not None:
            return facts.data_facts(runner.val_dataloader.dataset)
        loader = runner.cfg.get(f'{role}_dataloader')
        if not loader:
            return []
        # its images may not be there yet, and are not needed
        options = dict(copy.deepcopy(loader.dataset), lazy_init=True)
        return facts.data_facts(DATASETS.build(options))

    def _note_progress(self, card: Card, runner: Runner, iteration: int) -> None:
        by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
        card['training'].update(
            TrainingFacts(iterations=iteration, epochs=runner.epoch if by_epoch else None)
        )
        card['runs'][-1].update(
            Run(to_iteration=iteration, seconds=round(time.monotonic() - self._begun, 1))
        )

    def _last_checkpoint(self, runner: Runner) -> CheckpointFile | None:
        pointer = Path(runner.work_dir, 'last_checkpoint')
        if not pointer.is_file():
            return None
        file = Path(pointer.read_text(encoding='utf-8').strip())
        return dict(file=file.name, sha256=sha256(file), iteration=self._saved)

    def _write(self, runner: Runner) -> None:
        if self.card is not None:
            self._try('its files', cards.write_model_card, self.card, runner.work_dir)

    def _try(self, what: str, function: Callable, *args) -> Any:
        """The result of a function; if it fails, None, a warning and a note in the card."""
        try:
            return function(*args)
        except Exception as error:  # a record must not end the training that it is of
            reason = f'{type(error).__name__}: {error}'
            print_log(
                f'the model card lacks {what}: {reason}', logger='current', level=logging.WARNING
            )
            self._missing[what] = reason
            return None
