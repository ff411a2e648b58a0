"""A small model, and predictions that are known, for tests of scans."""
import copy
import warnings
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.structures import InstanceData

from mmcovid.apis import OneShotInferencer
from mmcovid.ct import read_volume

SIZE = 64
CLASSES = ('lung', 'ggo', 'consolidation')
IMAGE_CLASSES = ('normal', 'cp', 'covid19')


@lru_cache
def small_config():
    """A config of the paper for slices of 64 x 64, with few detections and RoIs: quick."""
    config = Config.fromfile(
        Path(__file__).parents[1] / 'configs/one_shot/one-shot_r18_fpn_lstm2_cncb.py')
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


class KnownInferencer:
    """Stands in for the model: each slice has the masks that a file of labels tells.

    Args:
        labels (Path): Volume of labels, 0 or 1 + class, on the grid of the scan.
        scores (list): Class scores of the slices.
    """

    errors = ()

    def __init__(self, labels, scores=None):
        self.labels = read_volume(labels).array
        self.scores = scores or [[.2, .3, .5]] * len(self.labels)

    def stream(self, paths, batch_size=1):
        for path, plane, scores in zip(paths, self.labels, self.scores):
            sample = DetDataSample(metainfo=dict(img_path=path, window=(-600, 1500)))
            masks = np.stack([plane == k for k in (1, 2, 3, 3)])
            sample.pred_instances = InstanceData(
                masks=torch.from_numpy(masks), labels=torch.tensor([0, 1, 2, 0]),
                bboxes=torch.tensor([[1., 2, 3, 4]] * 4), scores=torch.tensor([.9, .8, .7, .1]))
            sample.pred_score = torch.tensor(scores)
            yield sample
