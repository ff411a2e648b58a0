"""A small model, for tests of scans."""

import copy
import warnings
from functools import lru_cache
from pathlib import Path

import torch
from mmengine.config import Config

from mmcovid.apis import OneShotInferencer

SIZE = 64
CLASSES = ('lung', 'ggo', 'consolidation')
IMAGE_CLASSES = ('normal', 'cp', 'covid19')


@lru_cache
def small_config():
    """A config of the paper for slices of 64 x 64, with few detections and RoIs: quick."""
    config = Config.fromfile(
        Path(__file__).parents[1] / 'configs/one_shot/one-shot_r18_fpn_lstm2_cncb.py'
    )
    for transform in config.test_dataloader.dataset.pipeline:
        if transform.type == 'Resize':
            transform.scale = (SIZE, SIZE)
    config.model.test_cfg.rcnn.max_per_img = 6
    config.model.roi_head.roi_sequence.num_rois = 4
    config.model.backbone.init_cfg = None
    return config


@lru_cache
def small_inferencer():
    """The model with random weights; a copy of it is not needed as long as it is not changed."""
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return OneShotInferencer(copy.deepcopy(small_config()), device='cpu', show_progress=False)
