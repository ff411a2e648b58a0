"""Detectors of lesions and classifiers of slices."""

from .covid_ct_mask_net import CovidCTMaskNet
from .one_shot_rcnn import OneShotRCNN
from .slice_classifier import SliceClassifier
from .two_task_detector import TwoTaskDetector

__all__ = ['CovidCTMaskNet', 'OneShotRCNN', 'SliceClassifier', 'TwoTaskDetector']
