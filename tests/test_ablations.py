"""What the documentation says of configs holds: every override, every config and every class."""

import argparse
import re
import shlex
from pathlib import Path

import pytest
import torch
from mmdet.registry import DATASETS, MODELS
from mmengine.config import Config, DictAction
from models_utils import cls_sample, test_batch

DOCS = Path(__file__).parents[1] / 'docs' / 'en'
ABLATION = (DOCS / 'ablation.md').read_text(encoding='utf-8')
OVERRIDES = re.findall(r'^\| [^|]+ \| `([^`|]+=[^`|]+)` \|', ABLATION, re.MULTILINE)


NARROW = {
    'backbone.init_cfg': None,
    'backbone.base_channels': 16,
    'neck.out_channels': 64,
    'rpn_head.in_channels': 64,
    'rpn_head.feat_channels': 64,
    'roi_head.bbox_roi_extractor.out_channels': 64,
    'roi_head.bbox_head.in_channels': 64,
    'roi_head.mask_roi_extractor.out_channels': 64,
    'roi_head.mask_head.in_channels': 64,
    'roi_head.mask_head.conv_out_channels': 64,
    'attention_head.in_channels': 64,
}


def python_blocks(text):
    return re.findall(r'^```python\n(.*?)^```', text, re.MULTILINE | re.DOTALL)


CONFIGS = {
    f'{path.stem}-{i}': block
    for path in sorted(DOCS.glob('*.md'))
    for i, block in enumerate(python_blocks(path.read_text(encoding='utf-8')))
    if re.search('^_base_ =', block, re.MULTILINE)
}


def write_config(tmp_path, text):
    path = tmp_path / 'mine.py'
    path.write_text(text, encoding='utf-8')
    return Config.fromfile(path)


def build_and_predict(config):
    """Build the model with few channels, and classify one small slice."""
    quarter = [channels // 4 for channels in config.model.neck.in_channels]  # as base_channels
    config.merge_from_dict({f'model.{key}': value for key, value in NARROW.items()})
    config.model.neck.in_channels = quarter
    model = MODELS.build(config.model).eval()
    with torch.no_grad():
        result = model.test_step(test_batch([cls_sample(64)], 64))[0]
    assert result.pred_score.sum().item() == pytest.approx(1, abs=1e-4)
    assert len(result.roi_sequence) == model.roi_head.num_rois
    return model


def test_the_table_is_read():
    assert len(OVERRIDES) == len(re.findall(r'^\| .*=.* \|$', ABLATION, re.MULTILINE)) > 20


@pytest.mark.parametrize('override', OVERRIDES)
def test_override(override, repo):
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    options = parser.parse_args(['--cfg-options', *shlex.split(override)]).cfg_options
    config = Config.fromfile(repo / 'configs/one_shot/one-shot_r18_fpn_lstm2_cncb.py')
    stock = config.to_dict()
    for key in options:
        # a wrong argument of the model fails in the build, any other would pass unseen
        place = stock
        for name in key.split('.') if not key.startswith('model.') else []:
            place = place[name]
    config.merge_from_dict(options)
    assert config.to_dict() != stock
    sampler = config.train_dataloader.sampler
    assert config.train_dataloader.batch_size == sampler.batch_size == sum(sampler.source_ratio)
    build_and_predict(config)


@pytest.mark.parametrize('name', CONFIGS)
def test_config_in_the_documentation(name, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    for block in python_blocks(ABLATION):
        if match := re.match(r'# (\w+\.py)\n', block):
            (tmp_path / match[1]).write_text(block, encoding='utf-8')
    build_and_predict(write_config(tmp_path, CONFIGS[name]))


def test_the_example_is_what_it_says(tmp_path):
    config = write_config(tmp_path, CONFIGS['ablation-0'])
    model = build_and_predict(config)
    assert model.roi_head.roi_sequence['order'] == 'score'
    assert model.roi_head.num_rois == model.attention_head.num_rois == 8
    assert [branch.lstm.hidden_size for branch in model.attention_head.branches] == [128, 128]


def test_merged_lesions_are_two_classes_everywhere(tmp_path):
    (text,) = [block for block in CONFIGS.values() if "('lung', 'lesion')" in block]
    config = write_config(tmp_path, text)
    for loader in (config.train_dataloader, config.val_dataloader, config.test_dataloader):
        dataset = DATASETS.build(dict(loader.dataset, lazy_init=True))
        assert dataset.metainfo['classes'] == ('lung', 'lesion')
        assert [each.TASK for each in dataset.datasets] == ['seg', 'cls']
    roi_head = config.model.roi_head
    assert roi_head.bbox_head.num_classes == roi_head.mask_head.num_classes == 2
