from .one_shot_rcnn import OneShotRCNN

__all__ = ['OneShotRCNN']
