from .classification_branch import ClassificationBranch
from .one_shot_roi_head import OneShotRoIHead
from .roi_sequence import select_roi_sequence

__all__ = ['ClassificationBranch', 'OneShotRoIHead', 'select_roi_sequence']
