"""Tiny one-shot detectors to export, and what is compared of their results."""

import copy
import warnings

import numpy as np
import torch
from mmengine.config import Config
from models_utils import narrow

from mmcovid.apis import OneShotInferencer
from mmcovid.classes import Classes
from mmcovid.deployment.metadata import Metadata
from mmcovid.utils.configs import config_path

SIZE = (72, 88)  # height, width: no multiples of 32
FEW_BOXES = {
    'model.test_cfg.rpn.nms_pre': 60,
    'model.test_cfg.rpn.max_per_img': 30,
    'model.test_cfg.rcnn.max_per_img': 12,
}


def metadata(**changes):
    """What the file of a tiny model tells."""
    told = dict(
        classes=Classes.of().to_meta(),
        input_size=SIZE,
        window=(-500.0, 1200.0),
        temperature=1.5,
        mask_threshold=0.5,
        config='tiny',
        config_sha256='c' * 64,
        weights_sha256='d' * 64,
        card=dict(intended_use='tests'),
        mmcovid_version='0.0',
    )
    return Metadata(**{**told, **changes})


def tiny_config(name='one-shot_r18_fpn_lstm2_cncb', **options):
    """A config of few channels, boxes and RoIs, for small slices."""
    config = narrow(Config.fromfile(config_path(name)))
    for transform in config.test_dataloader.dataset.pipeline:
        if transform.type == 'Resize':
            transform.scale = SIZE[::-1]
    config.model.backbone.init_cfg = None
    if 'roi_head' in config.model:
        options = {**FEW_BOXES, **options}
    if 'roi_sequence' in config.model.get('roi_head', {}):
        options.setdefault('model.roi_head.roi_sequence.num_rois', 4)
    config.merge_from_dict(options)
    return config


def tiny_inferencer(config, seed=0):
    """The model with random weights that give boxes of distinct scores."""
    torch.manual_seed(seed)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        inferencer = OneShotInferencer(copy.deepcopy(config), device='cpu', show_progress=False)
    model = inferencer.model
    if hasattr(model, 'roi_head'):
        model.rpn_head.rpn_cls.weight.data *= 30
        model.roi_head.bbox_head.fc_cls.weight.data *= 10
        if hasattr(model.roi_head, 'classification_branch'):
            model.roi_head.sync_classification_branch()
    return inferencer


def know_training_data(model, threshold=10.0):
    """Give a model statistics of features."""
    with torch.no_grad():
        features = model.feature_distance.pool(model.extract_feat(torch.rand(1, 3, *SIZE)))[0]
    whitening = torch.randn(len(features), len(features)).tril()
    model.feature_distance.load_state_dict(
        dict(mean=features, whitening=whitening, threshold=torch.tensor(threshold))
    )


def assert_same_results(result, expected, pixels=0):
    """Same results of a slice; lesions of nearly equal scores may change places.

    Of a small mask so many pixels, which are at the threshold but for rounding, may differ.
    """
    for part, whole in vars(expected).items():  # what a model does not tell is None
        assert (getattr(result, part) is None) == (whole is None), part
    if expected.class_logits is not None:
        np.testing.assert_allclose(result.class_logits, expected.class_logits, atol=1e-3)
        np.testing.assert_allclose(result.class_scores, expected.class_scores, atol=1e-3)
        assert result.class_scores.argmax() == expected.class_scores.argmax()
        np.testing.assert_allclose(result.image_vector, expected.image_vector, atol=1e-3)
    if expected.feature_distance is not None:
        np.testing.assert_allclose(result.feature_distance, expected.feature_distance, rtol=1e-3)
    if expected.roi_sequence is not None:
        assert_same_rois(result.roi_sequence, expected.roi_sequence)
    if expected.lesions is not None:
        assert_same_lesions(result.lesions, expected.lesions, pixels)


def assert_same_rois(rois, expected_rois):
    """Same boxes in the same order, and the same attention."""
    np.testing.assert_allclose(rois.bboxes, expected_rois.bboxes, atol=0.1)
    np.testing.assert_array_equal(rois.labels, expected_rois.labels)
    np.testing.assert_allclose(rois.scores, expected_rois.scores, atol=1e-3)
    assert rois.attention.shape == expected_rois.attention.shape
    np.testing.assert_allclose(rois.attention, expected_rois.attention, atol=1e-3)


def assert_same_lesions(found, wanted, pixels=0):
    """The same lesions, in any order; see :func:`assert_same_results`."""
    assert found.masks.shape == wanted.masks.shape
    assert found.masks.dtype == bool
    left = list(range(len(found.labels)))
    for label, score, bbox, mask in zip(wanted.labels, wanted.scores, wanted.bboxes, wanted.masks):
        same = [i for i in left if found.labels[i] == label]
        # of each, what it may be off by counts as 1
        errors = [
            max(np.abs(found.bboxes[i] - bbox).max() / 0.1, abs(found.scores[i] - score) / 1e-3)
            for i in same
        ]
        assert min(errors) < 1
        i = same[int(np.argmin(errors))]
        both = found.masks[i].sum() + mask.sum()
        differ = (found.masks[i] ^ mask).sum()
        assert differ <= max(pixels, 0.001 * both)  # a Dice of 0.999
        left.remove(i)
    assert not left
