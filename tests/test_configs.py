from pathlib import Path

import cv2
import numpy as np
import pytest
from mmdet.apis import DetInferencer, inference_detector, init_detector
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import HOOKS

from mmcovid.apis import OneShotInferencer
from mmcovid.checkpoints.saved_config import config_text, inference_part, parse_config
from mmcovid.datasets import LesionDataset

REPO = Path(__file__).parents[1]
CONFIGS = sorted(p for p in (REPO / 'configs').rglob('*.py') if '_base_' not in p.parts)
# of parameters, with the copied branch, without buffers
VARIANTS = ('attn_cncb', 'lstm1_cncb', 'lstm2_cncb', 'lstm2_author-release')
NUM_PARAMETERS = {  # of each variant
    'r18': (23_237_381, 22_780_677, 23_488_392, 23_356_808),
    'r34': (33_345_541, 32_888_837, 33_596_552, 33_464_968),
    'r50': (35_962_117, 35_505_413, 36_213_128, 36_081_544),
    'x50-32x4d': (35_433_989, 34_977_285, 35_685_000, 35_553_416),
    'x101-32x8d': (99_196_421, 98_739_717, 99_447_432, 99_315_848),
}


def test_base_names_are_unique():
    names = [p.name for p in (REPO / 'configs').rglob('*.py')]
    assert len(names) == len(set(names))


@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)
def test_config_builds_and_can_be_published(path):
    config = Config.fromfile(path)
    part = inference_part(config.to_dict())
    assert part['model']['type'] == config.model.type
    assert not {'init_cfg', 'stage1'} & {*part['model'], *part['model']['backbone']}
    assert 'data/' not in config_text(part)
    assert parse_config(config_text(part)) == part
    model = MODELS.build(config.model)
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) > 0


@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)
def test_lesions_are_scored_by_both_rulers_on_the_set_that_is_tested(path):
    config = Config.fromfile(path)
    for split in ('val', 'test'):
        lesions = config[f'{split}_dataloader'].dataset.seg
        metrics = config[f'{split}_evaluator'].metrics.get('seg')
        if lesions is None:
            assert metrics is None
            continue
        coco, per_image = metrics
        assert (coco.type, per_image.type) == ('mmcovid.LesionMetric', 'mmcovid.PerImageAP')
        assert coco.ann_file == lesions.data_root + lesions.ann_file


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        (f'one-shot_{backbone}_fpn_{variant}', number)
        for backbone, numbers in NUM_PARAMETERS.items()
        for variant, number in zip(VARIANTS, numbers, strict=True)
    ]
    + [
        ('one-shot_r50_fpn_affinity64_cncb', 34_848_581),
        ('one-shot_r50_fpn_affinity128_cncb', 34_849_669),
    ],
)
def test_number_of_parameters_is_the_published_one(name, expected):
    model = MODELS.build(Config.fromfile(REPO / f'configs/one_shot/{name}.py').model)
    assert sum(p.numel() for p in model.parameters()) == expected


def sets_of(config, role):
    """The options of the sets of a data loader, by task."""
    dataset = config[f'{role}_dataloader'].dataset
    return {task: dataset[task] for task in ('seg', 'cls') if dataset.get(task)}


def files_of(config, role):
    return {task: each.data_root + each.ann_file for task, each in sets_of(config, role).items()}


@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)
def test_each_split_has_files_of_its_own(path):
    """Validation chooses checkpoints: it is never the test set, nor what is trained on."""
    config = Config.fromfile(path)
    roles = 'train', 'val', 'test'
    files = [file for role in roles for file in files_of(config, role).values()]
    assert len(files) == len(set(files))
    for role in ('val', 'test'):
        assert set(config[f'{role}_evaluator'].metrics) == set(sets_of(config, role))


@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)
def test_best_checkpoints_are_of_the_tasks_that_are_validated(path):
    config = Config.fromfile(path)
    figures = dict(seg='coco/segm_mAP', cls='image/weighted_f1')
    hook = HOOKS.build(config.default_hooks.checkpoint)
    assert hook.save_best == [figures[task] for task in sets_of(config, 'val')]
    assert set(hook.rules) == {'greater'}
    assert config.train_cfg.val_interval % hook.interval == 0  # no more checkpoints for them


@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)
def test_training_slices_are_not_augmented(path):
    for options in sets_of(Config.fromfile(path), 'train').values():
        assert {transform.type.removeprefix('mmcovid.') for transform in options.pipeline} <= {
            'LoadImageFromFile',
            'ToThreeChannels',
            'LoadAnnotations',
            'Resize',
            'MultiBranch',
            'PackSliceInputs',
        }


@pytest.mark.slow
@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)
def test_inference_apis_work_unmodified(path, tmp_path):
    config = Config.fromfile(path)
    config.model.backbone.init_cfg = None
    for transform in config.test_dataloader.dataset.pipeline:
        if transform.type == 'Resize':
            transform.scale = (64, 64)
    slice_path = str(tmp_path / 'slice.png')
    cv2.imwrite(slice_path, np.random.default_rng(0).integers(0, 2**16, (80, 96), np.uint16))

    segments = config.model.type != 'mmcovid.SliceClassifier'
    classifies = config.model.type != 'MaskRCNN'
    if segments:  # most of the time goes into masks
        config.model.test_cfg.rcnn.max_per_img = 8
    model = init_detector(config, device='cpu')
    sample = inference_detector(model, slice_path)
    assert ('pred_instances' in sample, 'pred_label' in sample) == (segments, classifies)
    if segments:
        assert sample.pred_instances.masks.shape[1:] == (80, 96)
    if classifies:
        assert sample.pred_label.item() in (0, 1, 2)
    assert set(model.dataset_meta['palette']) <= set(LesionDataset.METAINFO['palette'])

    inferencer = DetInferencer(config, device='cpu', show_progress=False)
    result = inferencer(slice_path, no_save_vis=True)['predictions'][0]
    assert (set(result) >= {'bboxes', 'labels', 'scores', 'masks'}) == segments

    if path.parent.name == 'baselines':  # others have tests of their own
        inferencer = OneShotInferencer(config, device='cpu', show_progress=False)
        result = inferencer(slice_path, out_dir=str(tmp_path / 'out'))['predictions'][0]
        assert ('pred_class' in result) == classifies
        assert cv2.imread(str(tmp_path / 'out/vis/slice.png')) is not None
        if segments:
            num_classes = config.model.roi_head.bbox_head.num_classes
            assert len(inferencer.model.dataset_meta['classes']) == num_classes
