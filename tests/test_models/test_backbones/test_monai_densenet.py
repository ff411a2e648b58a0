import sys

import pytest
import torch
from mmengine.model import PretrainedInit

from mmcovid.registry import MODELS


@pytest.fixture
def backbone():
    pytest.importorskip('monai')
    return MODELS.build(dict(type='mmcovid.MonaiDenseNet', depth=121))


def test_one_map_at_stride_32(backbone):
    (feat,) = backbone.eval()(torch.randn(1, 3, 64, 96))
    assert feat.shape == (1, backbone.out_channels, 2, 3) == (1, 1024, 2, 3)
    assert (feat >= 0).all()


@pytest.mark.parametrize('name', [r'\g<1>.', r'\g<1>'])
def test_weights_by_the_names_of_torchvision(backbone, name, tmp_path):
    """Its file says "denselayer1.norm.1.weight", its module "denselayer1.norm1.weight"."""
    import re

    weights = {
        k: torch.randn_like(v) if v.is_floating_point() else v + 1
        for k, v in backbone.state_dict().items()
    }
    renamed = {re.sub(r'layers\.(norm|conv)(?=\d)', name, k): v for k, v in weights.items()}
    assert not any('layers.' in key for key in renamed)
    path = str(tmp_path / 'densenet.pth')
    torch.save(dict(renamed, **{'classifier.weight': torch.zeros(1)}), path)
    PretrainedInit(path)(backbone)
    assert all(torch.equal(v, weights[k]) for k, v in backbone.state_dict().items())


def test_own_names_load_too(backbone):
    backbone.load_state_dict(backbone.state_dict())


def test_monai_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'monai.networks', None)
    with pytest.raises(ImportError, match='pip install monai'):
        MODELS.build(dict(type='mmcovid.MonaiDenseNet'))


def test_unknown_depth():
    with pytest.raises(ValueError, match='121, 169, 201'):
        MODELS.build(dict(type='mmcovid.MonaiDenseNet', depth=18))
