"""The baselines of the paper: their sizes, what they train, and that the two stages fit."""

import re
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner
from models_utils import seg_sample, test_batch

from mmcovid.classes import Classes
from mmcovid.data_tools.phantom.dataset import SplitSize, write_phantom_set

CONFIGS = Path(__file__).parents[1] / 'configs'
SPLITS = dict(train=SplitSize(2, 2), val=SplitSize(1, 2), test=SplitSize(1, 2))


def load(name, **options):
    config = Config.fromfile(next(CONFIGS.rglob(f'{name}.py')))
    config.merge_from_dict(options)
    return config


def read_sizes():
    """Rows of the table of sizes: config, millions in the paper, our number of parameters."""
    text = (CONFIGS / 'baselines/README.md').read_text(encoding='utf-8')
    rows = re.findall(r'^\| ([\w-]+_cncb) \| (\d+)M \| ([\d,]+) \|', text, re.MULTILINE)
    return [(name, int(paper), int(ours.replace(',', ''))) for name, paper, ours in rows]


def build_sizes(config):
    """The model of a config without values: only its sizes are of interest."""
    with torch.device('meta'):
        return MODELS.build(config.model)


@pytest.mark.parametrize(('name', 'paper', 'ours'), read_sizes())
def test_sizes(name, paper, ours):
    model = build_sizes(load(name))
    size = sum(p.numel() for p in model.parameters())
    assert size == ours
    if name.startswith('classifier'):  # the paper's are those for ImageNet's 1,000 classes
        size += 997 * (model.image_head.fc.in_features + 1)
    if hasattr(model, 'image_head') and hasattr(model, 'roi_head'):
        image_head = sum(p.numel() for p in model.image_head.parameters())
        assert image_head == 2_364_419  # 2.36M in the author's table
        size -= image_head
    assert paper in (size // 10**6, round(size / 10**6))


def test_sizes_of_covid_ct_mask_net_with_buffers():
    """The author's figures are 31.78M and 34.14M."""
    for name, expected in (
        ('covid-ct-mask-net-stage1_r50_fpn_cncb', 3178),
        ('covid-ct-mask-net_r50_fpn_cncb', 3414),
    ):
        state = build_sizes(load(name)).state_dict()
        assert sum(value.numel() for value in state.values()) // 10**4 == expected


def test_all_rows_of_the_paper_are_there():
    assert len(read_sizes()) == 11


@pytest.mark.parametrize(
    'name', ['mask-rcnn_r18_fpn_heads-only_phantom', 'mask-rcnn_r50_fpn_heads-only_cncb']
)
def test_heads_only(name):
    options = {'model.backbone.depth': 18, 'model.neck.in_channels': [64, 128, 256, 512]}
    config = load(name, **options, **{'model.backbone.init_cfg': None})
    model = MODELS.build(config.model)
    model.init_weights()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    model.train().train_step(
        test_batch([seg_sample(), seg_sample(seed=1)]),
        build_optim_wrapper(model, config.optim_wrapper),
    )
    changed = {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    heads = {'roi_head'} if 'cncb' in name else {'roi_head', 'rpn_head'}
    assert {key.split('.')[0] for key in changed} == heads


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A working folder with a small phantom set."""
    folder = tmp_path_factory.mktemp('baselines')
    write_phantom_set(
        folder / 'data/phantom', SPLITS, SPLITS, SplitSize(0, 1), size=64, show_progress=False
    )
    return folder


def train_and_test(name, **options):
    """Two iterations and a test, in the working folder; the prefixes of the figures."""
    loaders = {
        f'{split}_dataloader.{key}': value
        for split in ('train', 'val', 'test')
        for key, value in dict(num_workers=0, persistent_workers=False).items()
    }
    config = load(
        name,
        **loaders,
        **options,
        **{
            'train_cfg.max_iters': 2,
            'train_cfg.val_interval': 9,
            'train_dataloader.batch_size': 2,
            'default_hooks.checkpoint.interval': 2,
            'work_dir': f'work_dirs/{name}',
        },
    )
    runner = Runner.from_cfg(config)
    runner.train()
    best = dict(seg='coco_segm_mAP', cls='image_weighted_f1')
    assert {path.name for path in Path(config.work_dir).glob('best_*')} == {
        f'best_{best[task]}_iter_2.pth'
        for task in ('seg', 'cls')
        if config.val_dataloader.dataset[task]
    }
    saved = torch.load(f'work_dirs/{name}/iter_2.pth', weights_only=False)['meta']['dataset_meta']
    tested = runner.test_dataloader.dataset.metainfo
    for part in ('classes', 'palette', 'image_classes'):
        assert saved[part] == tested[part]  # inference takes the names from the checkpoint
    return {key.split('/')[0] for key in runner.test()}


@pytest.mark.slow
@pytest.mark.parametrize(
    ('name', 'figures'),
    [('mask-rcnn_r18_fpn_phantom', {'coco', 'per_image'}), ('classifier_r18_phantom', {'image'})],
)
def test_one_task_trains_and_tests(name, figures, folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert train_and_test(name) == figures


@pytest.mark.slow
def test_two_stages(folder, monkeypatch):
    monkeypatch.chdir(folder)
    stage1, stage2 = (f'covid-ct-mask-net{stage}_r18_fpn_phantom' for stage in ('-stage1', ''))
    assert train_and_test(stage1) == {'coco', 'per_image'}
    expected = f'work_dirs/{stage1}/iter_2.pth'
    assert train_and_test(stage2, **{'model.stage1': expected}) == {'coco', 'per_image', 'image'}


STAGES = [path.stem for path in CONFIGS.rglob('covid-ct-mask-net_*.py')]


@pytest.mark.parametrize('name', [name for name in STAGES if name.endswith(('cncb', 'phantom'))])
def test_the_stages_are_one_detector(name):
    """The second stage asks for the checkpoint that the first one leaves, and it fits."""
    stage1 = load(name.replace('mask-net', 'mask-net-stage1'))
    stage2 = load(name)
    path = f'work_dirs/{Path(stage1.filename).stem}/iter_{stage1.train_cfg.max_iters}.pth'
    assert stage2.model.stage1 == path
    shapes = [
        {
            k: v.shape
            for k, v in build_sizes(stage).state_dict().items()
            if not k.startswith('image_head.')
        }
        for stage in (stage1, stage2)
    ]
    assert shapes[0] == shapes[1]
    classes, other = (
        Classes.from_meta(stage.test_dataloader.dataset.seg.metainfo) for stage in (stage1, stage2)
    )
    assert classes.lesions == other.lesions
