"""Hooks and optimiser wrappers."""

from .bf16_optim_wrapper import BF16OptimWrapper
from .checkpoint_hook import CheckpointHook
from .divergence_hook import DivergenceHook
from .forget_config_hook import ForgetConfigHook
from .iteration_seed_hook import IterationSeedHook
from .model_card_hook import ModelCardHook
from .slice_visualization_hook import SliceVisualizationHook
from .stop_signal_hook import StopSignalHook
from .work_dir_lock_hook import WorkDirLockHook

__all__ = [
    'BF16OptimWrapper',
    'CheckpointHook',
    'DivergenceHook',
    'ForgetConfigHook',
    'IterationSeedHook',
    'ModelCardHook',
    'SliceVisualizationHook',
    'StopSignalHook',
    'WorkDirLockHook',
]
