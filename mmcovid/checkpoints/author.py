"""Checkpoints of the author's LSTM-2 release, as those of :class:`OneShotRCNN`.

The release keeps the weights under ``model_weights``, names modules as
torchvision does and has the background as class 0. MMDetection has it last.
"""

import pickle
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import Tensor

from mmcovid.registry import MODELS
from mmcovid.utils.configs import config_path

#: Modules of the release and what they are here; those of the backbone keep their names.
MODULES = {
    'backbone.fpn.inner_blocks.0': 'neck.lateral_convs.0.conv',
    'backbone.fpn.inner_blocks.0.0': 'neck.lateral_convs.0.conv',  # newer torchvision
    'backbone.fpn.layer_blocks.0': 'neck.fpn_convs.0.conv',
    'backbone.fpn.layer_blocks.0.0': 'neck.fpn_convs.0.conv',
    'rpn.head.conv': 'rpn_head.rpn_conv',
    'rpn.head.cls_logits': 'rpn_head.rpn_cls',
    'rpn.head.bbox_pred': 'rpn_head.rpn_reg',
    'roi_heads.box_head.fc6': 'roi_head.bbox_head.shared_fcs.0',
    'roi_heads.box_head.fc7': 'roi_head.bbox_head.shared_fcs.1',
    'roi_heads.box_predictor.cls_score': 'roi_head.bbox_head.fc_cls',
    'roi_heads.box_predictor.bbox_pred': 'roi_head.bbox_head.fc_reg',
    'roi_heads.mask_head.mask_fcn1': 'roi_head.mask_head.convs.0.conv',
    'roi_heads.mask_predictor.conv_mask': 'roi_head.mask_head.upsample',
    'roi_heads.mask_predictor.mask_fcn_logits': 'roi_head.mask_head.conv_logits',
    'roi_heads.box_head_s2.fc6': 'roi_head.classification_branch.bbox_head.shared_fcs.0',
    'roi_heads.box_head_s2.fc7': 'roi_head.classification_branch.bbox_head.shared_fcs.1',
    'roi_heads.box_predictor_s2.cls_score': 'roi_head.classification_branch.bbox_head.fc_cls',
    'roi_heads.box_predictor_s2.bbox_pred': 'roi_head.classification_branch.bbox_head.fc_reg',
    'roi_heads.mask_head_s2.mask_fcn1': 'roi_head.classification_branch.convs.0.conv',
    'roi_heads.mask_predictor_s2.conv_mask': 'roi_head.classification_branch.upsample',
    'roi_heads.mask_predictor_s2.conv_reduce': 'roi_head.classification_branch.conv_reduce',
    'attn_layer.sieve.0.conv_down': 'attention_head.refinement.0.conv_down',
    'attn_layer.sieve.0.bn': 'attention_head.refinement.0.bn',
    'attn_layer.sieve.0.conv_up': 'attention_head.refinement.0.conv_up',
    'attn_layer.conv_d1': 'attention_head.vectorization.conv1',
    'attn_layer.bn1': 'attention_head.vectorization.bn1',
    'attn_layer.conv_d2': 'attention_head.vectorization.conv2',
    'attn_layer.bn2': 'attention_head.vectorization.bn2',
    'attn_layer.conv_d_final': 'attention_head.vectorization.conv3',
    'attn_layer.bn3': 'attention_head.vectorization.bn3',
    'attn_layer.lstm_pos': 'attention_head.branches.0.lstm',
    'attn_layer.lstm_neg': 'attention_head.branches.1.lstm',
    'attn_layer.final_linear_pos': 'attention_head.branches.0.query',
    'attn_layer.final_linear_neg': 'attention_head.branches.1.query',
    'pos_classifier_attn.fc_l1': 'attention_head.classifiers.0.0',
    'pos_classifier_attn.fc_l2': 'attention_head.classifiers.0.2',
    'pos_classifier_attn.class_predict_logits': 'attention_head.classifiers.0.4',
    'neg_classifier_attn.fc_l1': 'attention_head.classifiers.1.0',
    'neg_classifier_attn.fc_l2': 'attention_head.classifiers.1.2',
    'neg_classifier_attn.class_predict_logits': 'attention_head.classifiers.1.4',
}
_BODY = 'backbone.body.'
# predictors whose first outputs, so many, are the background's
_BACKGROUND_OUTPUTS = {'fc_cls': 1, 'fc_reg': 4, 'conv_logits': 1}
# backbones by the shape of a weight in the last stage and the number of blocks in the one before
_BACKBONES = {
    ((512, 256, 3, 3), 2): 'r18',
    ((512, 256, 3, 3), 6): 'r34',
    ((512, 1024, 1, 1), 6): 'r50',
    ((1024, 1024, 1, 1), 6): 'x50-32x4d',
    ((2048, 1024, 1, 1), 23): 'x101-32x8d',
}
BACKBONES = tuple(_BACKBONES.values())
_NAMED_AT_MOST = 10


def load_author_checkpoint(path: str | Path, unsafe: bool = False) -> dict:
    """Load a checkpoint of the release.

    Args:
        path (str | Path): The file.
        unsafe (bool): Unpickle whatever the file holds, which can run any
            code. Defaults to False.

    Returns:
        dict: With ``model_weights`` and, where the file has them, ``epoch``,
        ``optimizer_state`` and ``lrate``.

    Raises:
        ValueError: The file cannot be read, cannot be read safely, or is not
            a checkpoint of the release.
    """
    try:
        checkpoint = torch.load(path, map_location='cpu', weights_only=not unsafe)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f'{path}: is no checkpoint, or holds more than tensors and plain values, which was '
            f'not loaded ({str(error).splitlines()[0]}). If you trust its origin, add '
            '--weights-only-unsafe.'
        ) from error
    except (EOFError, RuntimeError) as error:
        raise ValueError(
            f'{path}: truncated or not a checkpoint ({error}). Download it again.'
        ) from error
    weights = checkpoint.get('model_weights') if isinstance(checkpoint, dict) else None
    if not isinstance(weights, dict) or not all(map(torch.is_tensor, weights.values())):
        has = (
            list(checkpoint)[:_NAMED_AT_MOST]
            if isinstance(checkpoint, dict)
            else type(checkpoint).__name__
        )
        raise ValueError(
            f'{path}: is no checkpoint of the release, which keeps a state dict as '
            f'model_weights; it has {has}.'
        )
    return checkpoint


def infer_backbone(weights: dict[str, Tensor]) -> str | None:
    """Tell the backbone from the weights: one of ``BACKBONES``, or None for any other."""
    last = weights.get(f'{_BODY}layer4.0.conv1.weight')
    blocks = {name.split('.')[3] for name in weights if name.startswith(f'{_BODY}layer3.')}
    return None if last is None else _BACKBONES.get((tuple(last.shape), len(blocks)))


def convert_author_weights(weights: dict[str, Tensor], backbone: str) -> dict[str, Tensor]:
    """Rename the weights of the release and move the background to the end.

    Args:
        weights (dict[str, Tensor]): State dict of the release.
        backbone (str): One of ``BACKBONES``.

    Returns:
        dict[str, Tensor]: State dict of the model of
        ``one-shot_<backbone>_fpn_lstm2_author-release.py``.

    Raises:
        ValueError: Weights are missing, of another shape or not expected.
    """
    expected = _expected_weights(backbone)
    converted, names, unexpected = {}, {}, []
    for name, weight in weights.items():
        target = _target_name(name)
        if target not in expected or target in converted:
            unexpected.append(name)
            continue
        names[target] = name
        converted[target] = _background_last(target, weight)
    misshapen = [
        f'{names[target]} is {tuple(weight.shape)}, not {tuple(expected[target].shape)}'
        for target, weight in converted.items()
        if weight.shape != expected[target].shape
    ]
    # the state of the synchronisation policy is ours: any first loss is an improvement
    converted['last_seg_loss'] = torch.tensor(float('inf'))
    missing = [_source_name(target) for target in expected if target not in converted]
    problems = [
        f'{kind} ({len(found)}): {", ".join(found[:_NAMED_AT_MOST])}'
        for kind, found in (
            ('missing', missing),
            ('unexpected', unexpected),
            ('of another shape', misshapen),
        )
        if found
    ]
    if problems:
        raise ValueError(
            f'these are not the weights of the LSTM-2 release with {backbone}. '
            + '. '.join(problems)
            + '.'
        )
    return converted


def _expected_weights(backbone: str) -> dict[str, Tensor]:
    """State dict of the model of the author-release config."""
    config = Config.fromfile(
        config_path(f'one_shot/one-shot_{backbone}_fpn_lstm2_author-release.py')
    )
    with DefaultScope.overwrite_default_scope('mmdet'):
        return MODELS.build(config.model).state_dict()


def _target_name(name: str) -> str | None:
    """The name here of a weight of the release."""
    if name.startswith(_BODY):
        return 'backbone.' + name[len(_BODY) :]
    module, _, parameter = name.rpartition('.')
    return f'{MODULES[module]}.{parameter}' if module in MODULES else None


def _source_name(target: str) -> str:
    """The name in the release of a weight here."""
    module, _, parameter = target.rpartition('.')
    for source, name in MODULES.items():
        if name == module:
            return f'{source}.{parameter}'
    return _BODY + target.removeprefix('backbone.')


def _background_last(target: str, weight: Tensor) -> Tensor:
    """Move the outputs for the background from the first place to the last."""
    outputs = _BACKGROUND_OUTPUTS.get(target.split('.')[-2], 0)
    return weight.roll(-outputs, dims=0) if outputs else weight
