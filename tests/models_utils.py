"""Small batches of slices for the tests of the models."""

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData

SIZE = 96
CHANNELS = 16  # of a narrow model


def narrow(config):
    """Give a config of ResNets few channels, which is enough for what is not about numbers."""
    model = config.model
    backbone = model.backbone
    backbone.update(base_channels=8, stem_channels=8)
    expansion = 4 if backbone.depth >= 50 else 1
    stages = [8 * expansion * 2**stage for stage in backbone.out_indices]
    if 'roi_head' not in model:
        model.image_head.in_channels = stages[-1]
        return config
    model.neck.update(in_channels=stages, out_channels=CHANNELS)
    model.rpn_head.update(in_channels=CHANNELS, feat_channels=CHANNELS)
    roi_head = model.roi_head
    for extractor in (roi_head.bbox_roi_extractor, roi_head.mask_roi_extractor):
        extractor.out_channels = CHANNELS
    roi_head.bbox_head.in_channels = CHANNELS
    roi_head.mask_head.update(in_channels=CHANNELS, conv_out_channels=CHANNELS)
    if 'attention_head' in model:
        model.attention_head.in_channels = CHANNELS
        if 'lstm_channels' in model.attention_head:
            model.attention_head.lstm_channels = CHANNELS
    return config


def seg_sample(size=SIZE, num_lesions=2, seed=0):
    """A slice with square lesions, as its pipeline would pack it."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((num_lesions, size, size), np.uint8)
    boxes = []
    for mask in masks:
        x, y = rng.integers(0, size - 40, 2)
        mask[y : y + 32, x : x + 32] = 1
        boxes.append([x, y, x + 32, y + 32])
    sample = _sample('seg', size, seed)
    sample.gt_instances = InstanceData(
        bboxes=torch.tensor(boxes, dtype=torch.float).view(-1, 4),
        labels=torch.arange(num_lesions) % 3,
        masks=BitmapMasks(masks, size, size),
    )
    return sample


def cls_sample(size=SIZE, label=0, seed=0):
    """A slice with an image label."""
    sample = _sample('cls', size, seed)
    sample.gt_label = torch.tensor([label])
    return sample


def slices(num, size=SIZE, seed=0):
    """Random slices as a dataset gives them, (3, H, W) each, with equal channels."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(num, 1, size // 8, size // 8, generator=generator) * 255
    fine = torch.nn.functional.interpolate(coarse, (size, size), mode='bicubic')
    return [img.expand(3, -1, -1).clone() for img in fine]


def train_batch(num_seg=1, num_cls=1, size=SIZE, seed=0, num_lesions=2):
    """A two-branch batch as ``pseudo_collate`` gives it, with ``None`` for the other branch."""
    seg_samples = [seg_sample(size, num_lesions, seed + i) for i in range(num_seg)]
    cls_samples = [cls_sample(size, i % 3, seed + i) for i in range(num_cls)]
    blank_seg, blank_cls = [None] * num_seg, [None] * num_cls
    return dict(
        inputs=dict(
            seg=slices(num_seg, size, seed) + blank_cls,
            cls=blank_seg + slices(num_cls, size, seed + 100),
        ),
        data_samples=dict(seg=seg_samples + blank_cls, cls=blank_seg + cls_samples),
    )


def test_batch(samples, size=SIZE, seed=0):
    """A batch to predict."""
    return dict(inputs=slices(len(samples), size, seed), data_samples=samples)


test_batch.__test__ = False


def _sample(task, size, seed):
    sample = DetDataSample(
        metainfo=dict(
            task=task,
            img_id=seed,
            img_path=f'{task}_{seed}.png',
            img_shape=(size, size),
            ori_shape=(size, size),
            scale_factor=(1.0, 1.0),
        )
    )
    sample.gt_instances = InstanceData()
    return sample
