from pathlib import Path

import cv2
import numpy as np
import pytest
from mmdet.apis import DetInferencer, inference_detector, init_detector
from mmdet.registry import MODELS
from mmengine.config import Config

from mmcovid.datasets import LesionDataset

REPO = Path(__file__).parents[1]
CONFIGS = sorted(p for p in (REPO / 'configs').rglob('*.py') if '_base_' not in p.parts)
# with the copied branch, without buffers
NUM_PARAMETERS = {
    'r18': dict(attn=23_237_381, lstm1=22_780_677, lstm2=23_488_392),
    'r34': dict(attn=33_345_541, lstm1=32_888_837, lstm2=33_596_552),
    'r50': dict(attn=35_962_117, lstm1=35_505_413, lstm2=36_213_128),
    'x50-32x4d': dict(attn=35_433_989, lstm1=34_977_285, lstm2=35_685_000),
    'x101-32x8d': dict(attn=99_196_421, lstm1=98_739_717, lstm2=99_447_432),
}


def test_base_names_are_unique():
    names = [p.name for p in (REPO / 'configs').rglob('*.py')]
    assert len(names) == len(set(names))


@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)
def test_config_builds(path):
    model = MODELS.build(Config.fromfile(path).model)
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) > 0


@pytest.mark.parametrize('backbone', NUM_PARAMETERS)
@pytest.mark.parametrize('variant', ['attn', 'lstm1', 'lstm2'])
def test_number_of_parameters_is_the_published_one(backbone, variant):
    config = Config.fromfile(
        REPO / f'configs/one_shot/one-shot_{backbone}_fpn_{variant}_cncb.py')
    model = MODELS.build(config.model)
    assert sum(p.numel() for p in model.parameters()) == NUM_PARAMETERS[backbone][variant]


@pytest.mark.slow
@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)
def test_inference_apis_work_unmodified(path, tmp_path):
    config = Config.fromfile(path)
    config.model.backbone.init_cfg = None
    for transform in config.test_dataloader.dataset.pipeline:
        if transform.type == 'Resize':
            transform.scale = (64, 64)
    slice_path = str(tmp_path / 'slice.png')
    cv2.imwrite(slice_path, np.random.default_rng(0).integers(0, 2**16, (80, 96), np.uint16))

    model = init_detector(config, device='cpu')
    sample = inference_detector(model, slice_path)
    assert sample.pred_instances.masks.shape[1:] == (80, 96)
    assert sample.pred_label.item() in (0, 1, 2)
    assert model.dataset_meta['palette'] == [tuple(c) for c in LesionDataset.METAINFO['palette']]

    inferencer = DetInferencer(config, device='cpu', show_progress=False)
    result = inferencer(slice_path, no_save_vis=True)['predictions'][0]
    assert set(result) >= {'bboxes', 'labels', 'scores', 'masks'}
