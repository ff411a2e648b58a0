from pathlib import Path

import pytest
from mmdet.registry import MODELS
from mmengine.config import Config

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
