"""Hooks and optimiser wrappers."""

from .bf16_optim_wrapper import BF16OptimWrapper
from .forget_config_hook import ForgetConfigHook
from .iteration_seed_hook import IterationSeedHook
from .model_card_hook import ModelCardHook
from .slice_visualization_hook import SliceVisualizationHook

__all__ = [
    'BF16OptimWrapper',
    'ForgetConfigHook',
    'IterationSeedHook',
    'ModelCardHook',
    'SliceVisualizationHook',
]
