from .bf16_optim_wrapper import BF16OptimWrapper
from .model_card_hook import ModelCardHook
from .slice_visualization_hook import SliceVisualizationHook

__all__ = ['BF16OptimWrapper', 'ModelCardHook', 'SliceVisualizationHook']
