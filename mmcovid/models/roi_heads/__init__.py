"""RoI heads and the RoI sequence."""

from .classification_branch import ClassificationBranch
from .one_shot_mask_head import OneShotMaskHead
from .one_shot_roi_head import OneShotRoIHead
from .ranking_roi_head import RankingRoIHead
from .roi_sequence import select_roi_sequence

__all__ = [
    'ClassificationBranch',
    'OneShotMaskHead',
    'OneShotRoIHead',
    'RankingRoIHead',
    'select_roi_sequence',
]
