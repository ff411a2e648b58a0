from .anchor_generator import RoundedAnchorGenerator
from .bbox_coder import GrowthLimitedBBoxCoder

__all__ = ['GrowthLimitedBBoxCoder', 'RoundedAnchorGenerator']
