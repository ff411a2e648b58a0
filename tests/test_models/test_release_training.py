"""Losses and gradients are those of the release, if all anchors and all proposals are sampled."""

import json
from pathlib import Path

import pytest
import release_model
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData
from models_utils import slices

from mmcovid.checkpoints.author import convert_author_weights
from mmcovid.models.data_preprocessors.slice_data_preprocessor import standardize

DATA = Path(__file__).parents[1] / 'data'
LOSSES = dict(
    seg_loss_rpn_cls='rpn_cls',
    seg_loss_rpn_bbox='rpn_bbox',
    seg_loss_cls='cls',
    seg_loss_bbox='bbox',
    seg_loss_mask='mask',
)
# x1, y1, x2, y2 as parts of the side: a lung with two lesions in it, another one with one
BOXES = torch.tensor(
    [
        [0.08, 0.2, 0.45, 0.85],
        [0.12, 0.5, 0.3, 0.62],
        [0.25, 0.3, 0.42, 0.6],
        [0.55, 0.22, 0.93, 0.8],
        [0.6, 0.45, 0.7, 0.75],
    ]
)
LABELS = torch.tensor([1, 2, 3, 1, 2])


def release_weights(seed):
    """Weights with the mean and spread of the release's initial ones, under its names."""
    generator = torch.Generator().manual_seed(seed)
    shapes = json.loads((DATA / 'release_keys_resnet18.json').read_text())
    initial = json.loads((DATA / 'release_initial_weights_resnet18.json').read_text())
    weights = {}
    for name, shape in shapes.items():
        noise = torch.randn(shape, generator=generator)
        if name in initial:
            weights[name] = initial[name]['mean'] + initial[name]['std'] * noise
        elif len(shape) > 1:
            weights[name] = noise * (2 / noise[0].numel()) ** 0.5
        else:
            weights[name] = 1 + 0.2 * noise if name.endswith(('weight', 'var')) else 0.1 * noise
    # sure enough of some proposals that lesions are found
    weights['rpn.head.cls_logits.weight'] *= 20
    weights['rpn.head.bbox_pred.weight'] *= 5
    return weights


def objects(size):
    """Boxes in pixels and elliptic masks (G, H, W) of the objects of a slice."""
    boxes = (BOXES * size).round()
    grid = torch.arange(size) + 0.5
    centre, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    x, y = ((grid - centre[:, axis, None]) / half[:, axis, None] for axis in (0, 1))
    return boxes, x[:, None] ** 2 + y[:, :, None] ** 2 <= 1


def sample(task, size, **fields):
    shape = (size, size)
    return DetDataSample(
        metainfo=dict(
            task=task,
            img_path='slice.png',
            img_shape=shape,
            ori_shape=shape,
            pad_shape=shape,
            batch_input_shape=shape,
        ),
        **fields,
    )


PARTS = {
    'backbone.body': 'backbone',
    'backbone.fpn': 'neck',
    'rpn': 'rpn_head',
    'roi_heads': 'roi_head',
    '': 'attention_head',
}


def part_of_ours(name):
    return name.partition('.')[0]


def part_of_release(name):
    return next(part for prefix, part in PARTS.items() if name.startswith(prefix))


def gradient_norms(loss, weights, part):
    """Norm of the gradient of each part of the model that the loss reaches."""
    gradients = torch.autograd.grad(loss, list(weights.values()), allow_unused=True)
    parts = {}
    for name, gradient in zip(weights, gradients):
        if gradient is not None:
            parts.setdefault(part(name), []).append(gradient.norm())
    return {name: torch.stack(found).norm().item() for name, found in parts.items()}


@pytest.fixture
def build(load_config):

    def build_model(weights):
        config = load_config('one_shot/one-shot_r18_fpn_lstm2_author-release.py')
        for stage in ('rpn', 'rcnn'):
            config.model.train_cfg[stage].sampler.num = 10**6
        model = MODELS.build(config.model)
        model.load_state_dict(convert_author_weights(weights, 'r18'))
        return model.train()

    return build_model


def trained_by_release(weights):
    """The weights that the release trains, from now on with gradient."""
    return {
        name: weight.requires_grad_()
        for name, weight in weights.items()
        if 'running' not in name and 'tracked' not in name and '_s2' not in name
    }


def trained_here(model):
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


SIZES = [256, pytest.param(512, marks=pytest.mark.slow)]


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('seed', [0, 1])
def test_detection(build, size, seed):
    weights, image = release_weights(seed), slices(1, size, seed)[0]
    boxes, masks = objects(size)
    model = build(weights)
    instances = InstanceData(
        bboxes=boxes,
        labels=LABELS - 1,
        masks=BitmapMasks(masks.numpy().astype('uint8'), size, size),
    )
    losses = model(
        dict(seg=standardize(image)[None]),
        dict(seg=[sample('seg', size, gt_instances=instances)]),
        mode='loss',
    )
    trained = trained_by_release(weights)
    expected = release_model.detection_losses(weights, image, boxes, LABELS, masks)
    found = {
        name: sum(losses[key]) if isinstance(losses[key], list) else losses[key]
        for key, name in LOSSES.items()
    }
    assert {k: v.item() for k, v in found.items()} == pytest.approx(
        {k: v.item() for k, v in expected.items()}, rel=1e-4
    )
    norms = gradient_norms(sum(found.values()), trained_here(model), part_of_ours)
    assert set(norms) == {'backbone', 'neck', 'rpn_head', 'roi_head'}
    assert norms == pytest.approx(
        gradient_norms(sum(expected.values()), trained, part_of_release), rel=1e-3
    )


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('seed', [0, 1])
def test_classification(build, size, seed):
    weights, image = release_weights(seed), slices(1, size, seed)[0]
    model = build(weights)
    losses = model(
        dict(cls=standardize(image)[None]),
        dict(cls=[sample('cls', size, gt_label=torch.tensor([2]))]),
        mode='loss',
    )
    trained = trained_by_release(weights)
    expected = release_model.image_loss(weights, image, 2)
    loss = losses['cls_loss_image']
    assert loss.item() == pytest.approx(expected.item(), rel=1e-3)
    norms = gradient_norms(loss, trained_here(model), part_of_ours)
    assert set(norms) == {'backbone', 'neck', 'attention_head'}
    assert norms == pytest.approx(gradient_norms(expected, trained, part_of_release), rel=1e-2)
