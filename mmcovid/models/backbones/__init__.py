"""Backbones that MMDetection lacks."""

from .monai_densenet import MonaiDenseNet

__all__ = ['MonaiDenseNet']
