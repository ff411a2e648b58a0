from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.runner.checkpoint import CheckpointLoader

from mmcovid.checkpoints import pretrained

REPO = Path(__file__).parents[2]
CONFIGS = sorted((REPO / 'configs/one_shot').glob('*lstm2_cncb.py'))


@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)
def test_weights_of_every_backbone_are_found_without_torchvision(path, monkeypatch):
    asked = []
    monkeypatch.setattr(pretrained, 'load_from_http', lambda url, _: asked.append(url))
    name = Config.fromfile(path).model.backbone.init_cfg.checkpoint
    pretrained.load_by_torchvision_name(name)
    assert asked[0].startswith('https://')
    assert name.removeprefix('torchvision://') in asked[0]


def test_unknown_name():
    with pytest.raises(ValueError, match='torchvision://resnet19'):
        pretrained.load_by_torchvision_name('torchvision://resnet19')


@pytest.mark.skipif(pretrained.find_spec('torchvision') is not None, reason='torchvision is there')
def test_mmengine_loads_by_it(monkeypatch):
    monkeypatch.setattr(pretrained, 'load_from_http', lambda url, _: {'weights of': url})
    loaded = CheckpointLoader.load_checkpoint('torchvision://resnet18')
    assert 'resnet18' in loaded['weights of']
