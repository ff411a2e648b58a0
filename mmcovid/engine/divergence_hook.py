from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import torch
from mmdet.models.roi_heads.roi_extractors import BaseRoIExtractor
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.optim import Optimizer

from mmcovid.checkpoints.whole import POINTER
from mmcovid.registry import HOOKS
from mmcovid.utils.errors import TrainingError
from mmcovid.utils.files import name_some

from .checkpoint_hook import CheckpointHook


@HOOKS.register_module()
class DivergenceHook(Hook):
    """Stops a training whose loss, gradients or boxes are no numbers any more, or explode.

    Gradients are looked at before the step that they would spoil the weights by, boxes before the
    operators that crash on them, and losses before a checkpoint is written. A checkpoint that the
    next iteration diverges with is put aside, as ``diverged_...``.

    Args:
        max_loss (float): A loss above it has exploded. Defaults to 1e4: at random weights the
            losses of all configs are below 100.
    """

    def __init__(self, max_loss: float = 1e4) -> None:
        self.max_loss = max_loss

    def before_train(self, runner: Runner) -> None:
        """Begin to watch."""
        self._runner = runner
        wrapper = runner.optim_wrapper
        optimizers = [wrapper] if isinstance(wrapper, OptimWrapper) else wrapper.values()
        self._handles = [
            each.optimizer.register_step_pre_hook(self._check_gradients) for each in optimizers
        ] + [
            module.register_forward_pre_hook(self._check_boxes)
            for module in runner.model.modules()
            if isinstance(module, BaseRoIExtractor)
        ]

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Note which slices are trained on."""
        self._batch = data_batch

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: dict[str, Tensor] | None = None,
    ) -> None:
        """Look at the losses.

        Raises:
            TrainingError: One is no number, or above ``max_loss``.
        """
        losses = {name: value for name, value in (outputs or {}).items() if 'loss' in name}
        for name, loss in losses.items():
            value = torch.as_tensor(loss).item()
            if not value <= self.max_loss:  # nor if it is nan
                self._stop(f'{name} is {value:.4g}')

    def after_train(self, runner: Runner) -> None:
        """End watching."""
        for handle in self._handles:
            handle.remove()

    def _check_gradients(self, optimizer: Optimizer, *args) -> None:
        if getattr(optimizer, 'found_inf', None) is not None:
            return  # of a fused optimiser whose loss scale leaves such steps out
        gradients = (
            parameter.grad
            for group in optimizer.param_groups
            for parameter in group['params']
            if parameter.grad is not None
        )
        if not all_finite(gradients):
            self._stop('gradients are not finite')

    def _check_boxes(self, module: nn.Module, inputs: tuple) -> None:
        if not all_finite([inputs[1]]):
            self._stop('boxes of regions are not finite')

    def _stop(self, reason: str) -> NoReturn:
        runner = self._runner
        for hook in runner.hooks:
            if isinstance(hook, CheckpointHook):
                hook.reject(runner, runner.iter)
        pointer = Path(runner.work_dir, POINTER)
        slices = name_some(slice_names(self._batch))
        message = (
            f'the training diverged in iteration {runner.iter + 1}: {reason}. Slices of the batch, '
            f'{slices}. Look at them with "mmcovid verify"; if they are sound, lower '
            'optim_wrapper.optimizer.lr or set optim_wrapper.clip_grad.'
        )
        if not pointer.is_file():
            raise TrainingError(f'{message} There is no good checkpoint: begin anew.')
        good = pointer.read_text(encoding='utf-8')
        raise TrainingError(
            f'{message} Last good checkpoint: {good}. Begin with its weights, --cfg-options '
            f'load_from={good}: --resume would bring the old learning rate back.'
        )


def all_finite(tensors: Sequence[Tensor] | Iterator[Tensor]) -> bool:
    """Whether tensors, of any shapes, hold neither nan nor inf."""
    flags = [tensor.isfinite().all() for tensor in tensors]
    return not flags or bool(torch.stack(flags).all())


def slice_names(batch: Any) -> list[str]:
    """Paths of the slices of a collated batch, of all its branches."""
    samples = batch['data_samples'] if isinstance(batch, dict) and 'data_samples' in batch else []
    branches = samples.values() if isinstance(samples, dict) else [samples]
    return [sample.img_path for branch in branches for sample in branch if sample is not None]
