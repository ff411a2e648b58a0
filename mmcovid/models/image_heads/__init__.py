"""Heads that classify slices."""

from .base_image_head import BaseImageHead, add_image_results
from .pooled_linear_head import PooledLinearHead
from .regional_features_head import RegionalFeaturesHead

__all__ = ['BaseImageHead', 'PooledLinearHead', 'RegionalFeaturesHead', 'add_image_results']
