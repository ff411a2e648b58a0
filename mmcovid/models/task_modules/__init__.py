"""Anchors, assigners and box coders, as in the release."""

from .anchor_generator import RoundedAnchorGenerator
from .assigner import OwnBestMaxIoUAssigner
from .bbox_coder import GrowthLimitedBBoxCoder

__all__ = ['GrowthLimitedBBoxCoder', 'OwnBestMaxIoUAssigner', 'RoundedAnchorGenerator']
