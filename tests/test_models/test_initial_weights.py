"""Initial weights are those of the release, and so are the losses of a first batch."""

import json
import math
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from models_utils import train_batch

from mmcovid.checkpoints.author import MODULES

REPO = Path(__file__).parents[2]
RELEASE = json.loads(
    (REPO / 'tests/data/release_initial_weights_resnet18.json').read_text(encoding='utf-8')
)
CONFIGS = sorted(
    path
    for folder in ('one_shot', 'baselines', 'phantom')
    for path in (REPO / 'configs' / folder).glob('*.py')
)
ONE_SHOT = [path for path in CONFIGS if path.stem.startswith('one-shot')]
BASELINES = [path for path in CONFIGS if path not in ONE_SHOT]
SIZE = 128
# The weights of the mask logits are wide (standard deviation 0.7), as the release's and
# MMDetection's: with a random backbone, losses of up to 6 are seen.
WIDE = 10


def build(path, **options):
    """The model of a config with its initial weights, those of the backbone random."""
    init_default_scope('mmdet')  # a fixture of the module is made before those of the tests
    torch.manual_seed(0)
    config = Config.fromfile(path)
    config.model.backbone.init_cfg = None
    if config.model.get('stage1'):
        config.model.stage1 = None
    config.merge_from_dict({f'model.{key}': value for key, value in options.items()})
    model = MODELS.build(config.model)
    model.init_weights()
    return model


@pytest.fixture(scope='module')
def weights():
    return build(REPO / 'configs/one_shot/one-shot_r18_fpn_lstm2_cncb.py').state_dict()


@pytest.mark.parametrize('name', RELEASE)
def test_each_tensor_is_as_in_the_release(weights, name):
    module, _, parameter = name.rpartition('.')
    tensor, expected = weights[f'{MODULES[module]}.{parameter}'], RELEASE[name]
    assert list(tensor.shape) == expected['shape']
    if expected['std'] == 0:  # a constant
        assert torch.equal(tensor, torch.full_like(tensor, expected['mean']))
        return
    # both are samples of one distribution: five standard errors of the difference
    error = 5 * math.sqrt(2 / tensor.numel())
    assert tensor.mean().item() == pytest.approx(expected['mean'], abs=error * expected['std'])
    assert tensor.std().item() == pytest.approx(expected['std'], rel=error)


def test_neck_is_uniform_as_in_torchvision(weights):
    for layer, inputs in (('lateral_convs', 512), ('fpn_convs', 256 * 9)):
        weight = weights[f'neck.{layer}.0.conv.weight']
        assert weight.abs().max().item() == pytest.approx(math.sqrt(3 / inputs), rel=0.01)
        assert not weights[f'neck.{layer}.0.conv.bias'].any()


def first_losses(model, num_seg=1, num_cls=1):
    data = model.data_preprocessor(train_batch(num_seg, num_cls, size=SIZE, num_lesions=4), True)
    losses = model(data['inputs'], data['data_samples'], mode='loss')
    return {
        name: float(sum(loss) if isinstance(loss, list) else loss) for name, loss in losses.items()
    }


def assert_sane(losses):
    assert 0.8 < losses['seg_loss_cls'] < 2.5
    assert losses['seg_loss_bbox'] < 0.3
    assert 0.45 < losses['cls_loss_image'] < 1
    assert 0.6 < losses['seg_loss_rpn_cls'] < 0.8
    assert losses['seg_loss_mask'] < WIDE


@pytest.mark.parametrize(
    'path',
    [
        path if '_r18_' in path.stem else pytest.param(path, marks=pytest.mark.slow)
        for path in ONE_SHOT
    ],
    ids=lambda path: path.stem,
)
def test_first_losses_of_one_shot_configs(path):
    assert_sane(first_losses(build(path)))


@pytest.mark.parametrize(
    'options',
    [
        {
            'backbone.type': 'ResNeXt',
            'backbone.groups': 32,
            'backbone.base_width': 4,
            'backbone.depth': 50,
            'neck.in_channels': [2048],
        },
        {
            'backbone.out_indices': (0, 1, 2, 3),
            'neck.in_channels': [64, 128, 256, 512],
            'neck.num_outs': 4,
            'rpn_head.anchor_generator.strides': [4, 8, 16, 32],
            'rpn_head.anchor_generator.base_sizes': [2] * 4,
            'roi_head.bbox_roi_extractor.featmap_strides': [4, 8, 16, 32],
            'roi_head.mask_roi_extractor.featmap_strides': [4, 8, 16, 32],
        },
    ],
    ids=['another backbone', 'FPN of four levels'],
)
def test_a_config_that_inherits_starts_as_sanely(options):
    assert_sane(
        first_losses(build(REPO / 'configs/one_shot/one-shot_r18_fpn_lstm2_cncb.py', **options))
    )


def baseline_losses(model):
    branch = 'seg' if type(model).__name__ == 'MaskRCNN' else 'cls'
    batch = train_batch(2, 2, size=SIZE, num_lesions=4)
    inputs, samples = (
        [item for item in batch[key][branch] if item is not None]
        for key in ('inputs', 'data_samples')
    )
    if branch == 'seg':
        num_classes = model.roi_head.bbox_head.num_classes
        for sample in samples:
            sample.gt_instances.labels %= num_classes
    data = model.data_preprocessor(dict(inputs=inputs, data_samples=samples), True)
    losses = model(**data, mode='loss')
    return {
        name: float(sum(loss) if isinstance(loss, list) else loss) for name, loss in losses.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize('path', BASELINES, ids=lambda path: path.stem)
def test_first_losses_of_baselines(path):
    losses = baseline_losses(build(path))
    if 'loss_image' in losses:
        assert 0.45 < losses['loss_image'] < 1
    else:
        assert 0.5 < losses['loss_cls'] < 2.5
        assert losses['loss_bbox'] < 0.5  # more boxes are positive, from an IoU of 0.5 on
        assert losses['loss_mask'] < WIDE
