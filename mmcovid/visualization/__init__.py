"""The visualiser."""

from .one_shot_visualizer import OneShotVisualizer

__all__ = ['OneShotVisualizer']
