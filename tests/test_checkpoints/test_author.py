import json
import math
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import release_model
import torch
from mmdet.apis import inference_detector, init_detector
from mmengine.config import Config
from mmengine.runner.checkpoint import load_state_dict

from mmcovid.checkpoints.author import (
    BACKBONES,
    convert_author_weights,
    infer_backbone,
    load_author_checkpoint,
)
from mmcovid.datasets import LesionDataset
from mmcovid.registry import MODELS

DATA = Path(__file__).parents[1] / 'data'
KEYS = dict(r18='resnet18', **{'x50-32x4d': 'resnext50_32x4d'})


def release_weights(backbone, seed=0):
    """Random weights under the names and in the shapes of the release."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    shapes = json.loads((DATA / f'release_keys_{KEYS[backbone]}.json').read_text())
    for name, shape in shapes.items():
        noise = torch.randn(shape, generator=generator)
        if len(shape) > 1:
            weights[name] = noise * math.sqrt(2 / math.prod(shape[1:]))
        elif name.endswith('running_var') or (name.endswith('weight') and len(shape) == 1):
            weights[name] = 1 + 0.2 * torch.rand(shape, generator=generator)
        else:
            weights[name] = 0.1 * noise
    weights['backbone.body.bn1.num_batches_tracked'] = torch.tensor(7)
    return weights


def author_config(backbone, repo):
    config = Config.fromfile(
        repo / f'configs/one_shot/one-shot_{backbone}_fpn_lstm2_author-release.py'
    )
    config.model.backbone.init_cfg = None
    return config


def random_slice(size, seed=0):
    """A slice with structure at several scales, 8 bit."""
    rng = np.random.default_rng(seed)
    layers = [
        cv2.resize(rng.normal(0, 40, (cells, cells)), (size, size), interpolation=cv2.INTER_CUBIC)
        for cells in (3, 8, 30, size)
    ]
    return (110 + sum(layers)).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize('backbone', KEYS)
def test_every_tensor_is_accounted_for(backbone, repo):
    weights = release_weights(backbone)
    assert infer_backbone(weights) == backbone
    converted = convert_author_weights(weights, backbone)
    model = MODELS.build(author_config(backbone, repo).model)
    load_state_dict(model, converted, strict=True)
    assert converted.pop('last_seg_loss') == float('inf')
    # nothing lost, nothing twice: each tensor is there once, with its values
    assert len(converted) == len(weights)

    def contents(tensors):
        return sorted(tuple(t.flatten().double().sort().values.tolist()[:50]) for t in tensors)

    assert contents(converted.values()) == contents(weights.values())


def test_background_moves_to_the_end():
    weights = release_weights('r18')
    converted = convert_author_weights(weights, 'r18')
    for branch, head in (('', 'bbox_head'), ('_s2', 'classification_branch.bbox_head')):
        scores = weights[f'roi_heads.box_predictor{branch}.cls_score.bias']
        assert converted[f'roi_head.{head}.fc_cls.bias'].tolist() == scores[[1, 2, 3, 0]].tolist()
        deltas = weights[f'roi_heads.box_predictor{branch}.bbox_pred.weight'].view(4, 4, -1)
        assert torch.equal(
            converted[f'roi_head.{head}.fc_reg.weight'].view(4, 4, -1), deltas[[1, 2, 3, 0]]
        )
    masks = weights['roi_heads.mask_predictor.mask_fcn_logits.weight']
    assert torch.equal(converted['roi_head.mask_head.conv_logits.weight'], masks[[1, 2, 3, 0]])


def test_both_spellings_of_the_neck():
    weights = release_weights('r18')
    newer = {
        re.sub(r'(fpn\.\w+_blocks\.0)\.', r'\1.0.', name): weight
        for name, weight in weights.items()
    }
    assert newer.keys() != weights.keys()
    old, new = (convert_author_weights(each, 'r18') for each in (weights, newer))
    assert all(torch.equal(old[name], new[name]) for name in old)
    with pytest.raises(ValueError, match=r'unexpected \(4\): backbone.fpn'):
        convert_author_weights({**weights, **newer}, 'r18')


@pytest.mark.parametrize('backbone', BACKBONES)
def test_backbone_is_told_from_the_weights(backbone, repo):
    model = MODELS.build(author_config(backbone, repo).model.backbone)
    weights = {f'backbone.body.{name}': weight for name, weight in model.state_dict().items()}
    assert infer_backbone(weights) == backbone


def test_wrong_weights_are_named():
    weights = release_weights('r18')
    assert infer_backbone({}) is None
    del weights['attn_layer.lstm_neg.bias_ih_l0'], weights['backbone.body.conv1.weight']
    weights['head.extra'] = torch.zeros(1)
    weights['rpn.head.conv.bias'] = torch.zeros(3)
    with pytest.raises(ValueError) as error:
        convert_author_weights(weights, 'r18')
    text = str(error.value)
    assert 'missing (2): backbone.body.conv1.weight, attn_layer.lstm_neg.bias_ih_l0' in text
    assert 'unexpected (1): head.extra' in text
    assert 'rpn.head.conv.bias is (3,), not (256,)' in text
    with pytest.raises(ValueError, match='with r34. missing'):
        convert_author_weights(release_weights('r18'), 'r34')


class Unsafe:
    """What a safe loader refuses."""


def test_unsafe_and_foreign_files(tmp_path):
    file = tmp_path / 'checkpoint.pth'
    torch.save(dict(model_weights={}, note=Unsafe()), file)
    with pytest.raises(ValueError, match='weights-only-unsafe'):
        load_author_checkpoint(file)
    assert set(load_author_checkpoint(file, unsafe=True)) == {'model_weights', 'note'}
    torch.save(dict(state_dict={}, meta={}), file)
    with pytest.raises(ValueError, match=r"as model_weights; it has \['state_dict', 'meta'\]"):
        load_author_checkpoint(file)
    torch.save([1, 2], file)
    with pytest.raises(ValueError, match='it has list'):
        load_author_checkpoint(file)
    torch.save(dict(model_weights=release_weights('r18')), file)
    whole = file.read_bytes()
    for content in (b'', b'no checkpoint', whole[: len(whole) // 2]):
        file.write_bytes(content)
        with pytest.raises(ValueError, match='checkpoint.pth: '):
            load_author_checkpoint(file)


@pytest.mark.parametrize(
    ('backbone', 'size'),
    [
        ('r18', 256),
        pytest.param('r18', 512, marks=pytest.mark.slow),
        pytest.param('x50-32x4d', 512, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize('seed', [0, 1])
def test_converted_model_gives_the_numbers_of_the_release(backbone, size, seed, repo, tmp_path):
    weights = release_weights(backbone, seed)
    if seed == 1:  # so sure of many proposals that the sigmoids of their logits are equal
        weights['rpn.head.cls_logits.weight'] *= 5
    image = random_slice(size, seed)
    boxes, logits = release_model.predict(
        weights, torch.from_numpy(image).float().expand(3, -1, -1)
    )
    assert len(boxes) == 16

    file, slice_path = str(tmp_path / 'converted.pth'), str(tmp_path / 'slice.png')
    meta = dict(dataset_meta=LesionDataset.METAINFO)
    torch.save(dict(meta=meta, state_dict=convert_author_weights(weights, backbone)), file)
    cv2.imwrite(slice_path, image)
    config = author_config(backbone, repo)
    config.test_dataloader.dataset.pipeline[2].scale = (size, size)
    sample = inference_detector(init_detector(config, file, device='cpu'), slice_path)
    torch.testing.assert_close(sample.roi_sequence.bboxes, boxes, atol=0.01, rtol=0)
    torch.testing.assert_close(sample.pred_logits, logits, atol=1e-3, rtol=1e-3)
