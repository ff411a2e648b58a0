"""What only a GPU can show; skipped without one."""

import copy
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from deployment_utils import SIZE, assert_same_results, metadata, tiny_config, tiny_inferencer
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, init_default_scope
from models_utils import cls_sample, seg_sample, slices, test_batch, train_batch

from mmcovid.data_tools.phantom.dataset import SplitSize, write_phantom_set
from mmcovid.deployment.onnx_predictor import OnnxPredictor
from mmcovid.utils.configs import config_path

DEVICE = os.environ.get('MMCOVID_TEST_DEVICE', 'cuda')
pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(
        DEVICE.startswith('cuda') and not torch.cuda.is_available(), reason='needs a GPU'
    ),
]
HEADS = ('lstm2', 'lstm1', 'attn', 'affinity64')


@pytest.fixture(autouse=True)
def full_precision():
    """Convolutions without TF32, which a CPU does not have."""
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield


def build(name, device=DEVICE, **options):
    """A model of a config with random weights, the same each time, and its config."""
    init_default_scope('mmdet')
    config = Config.fromfile(config_path(name))
    config.model.backbone.init_cfg = None
    if config.model.get('stage1'):
        config.model.stage1 = None
    config.merge_from_dict(options)
    torch.manual_seed(0)
    model = MODELS.build(copy.deepcopy(config.model))
    model.init_weights()
    return model.to(device), config


def test_operators_equal_the_cpus():
    from mmcv.ops import nms, roi_align, soft_nms

    generator = torch.Generator().manual_seed(0)
    corners = torch.rand(300, 2, generator=generator) * 400
    boxes = torch.cat([corners, corners + 20 + 80 * torch.rand(300, 2, generator=generator)], 1)
    scores = torch.rand(300, generator=generator)
    for operator in (nms, soft_nms):
        found = operator(boxes.to(DEVICE), scores.to(DEVICE), 0.5)
        wanted = operator(boxes, scores, 0.5)
        torch.testing.assert_close(found[0].cpu(), wanted[0], rtol=1e-5, atol=1e-4)
        assert found[1].cpu().equal(wanted[1])

    features = torch.rand(2, 16, 32, 32, generator=generator)
    rois = torch.cat([torch.arange(300)[:, None] % 2, boxes], dim=1)
    results = []
    for device in (DEVICE, 'cpu'):
        own = features.to(device).requires_grad_()
        aligned = roi_align(own, rois.to(device), (7, 7), 1 / 16, 0, 'avg', True)
        aligned.square().sum().backward()
        results.append((aligned.detach().cpu(), own.grad.cpu()))
    for found, wanted in zip(*results):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_every_config_predicts(repo):
    """One slice of 256×256 by each model that there is a config of."""
    paths = sorted((repo / 'configs').glob('[!_]*/*.py'))
    assert len(paths) > 40
    for path in paths:
        model, _ = build(str(path))
        with torch.no_grad():
            (sample,) = model.eval().test_step(test_batch([seg_sample(256)], 256))
        if 'pred_score' in sample:
            assert sample.pred_score.isfinite().all(), path
            torch.testing.assert_close(sample.pred_score.sum().item(), 1.0)
        if 'pred_instances' in sample:
            found = sample.pred_instances
            assert found.bboxes.isfinite().all() and len(found.masks) == len(found.scores), path
        assert 'pred_score' in sample or 'pred_instances' in sample, path


@pytest.mark.parametrize('head', HEADS)
def test_results_equal_the_cpus(head, tmp_path):
    import cv2

    picture = str(tmp_path / 'slice.png')
    cv2.imwrite(picture, slices(1, 88)[0][0].numpy().clip(0, 255).astype(np.uint8))
    on_cpu = tiny_inferencer(tiny_config(f'one-shot_r18_fpn_{head}_cncb'))
    (wanted,) = on_cpu.predict([picture])
    assert len(wanted.lesions.labels)
    on_cpu.model.to(DEVICE)  # the same weights
    (found,) = on_cpu.predict([picture])
    assert_same_results(found, wanted, pixels=1)


@pytest.mark.parametrize('head', HEADS)
def test_first_losses_equal_the_cpus(head):
    """All samples are taken, for each device draws its own."""
    options = {
        'model.train_cfg.rpn.sampler.type': 'PseudoSampler',
        'model.train_cfg.rcnn.sampler.type': 'PseudoSampler',
    }
    losses = []
    for device in (DEVICE, 'cpu'):
        model, _ = build(f'one-shot_r18_fpn_{head}_phantom', device, **options)
        data = model.data_preprocessor(train_batch(2, 2), True)
        found = model.train().loss(data['inputs'], data['data_samples'])
        losses.append(
            {
                name: float(torch.as_tensor(loss[0] if isinstance(loss, list) else loss))
                for name, loss in found.items()
                if 'loss' in name
            }
        )
    assert losses[0] == pytest.approx(losses[1], rel=1e-3, abs=1e-5)


@pytest.mark.parametrize('head', HEADS)
@pytest.mark.parametrize('amp', [False, True])
def test_two_training_steps(head, amp):
    model, config = build(f'one-shot_r18_fpn_{head}_phantom')
    wrapper = dict(config.optim_wrapper)
    if amp:
        wrapper.update(type='AmpOptimWrapper', loss_scale='dynamic')
    optimiser = build_optim_wrapper(model, wrapper)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for seed in range(2):
        log = model.train().train_step(train_batch(2, 2, seed=seed), optimiser)
        assert all(torch.as_tensor(value).isfinite().all() for value in log.values()), log
    moved = [n for n, p in model.named_parameters() if not p.equal(before[n])]
    assert len(moved) > len(before) / 2
    assert all(p.isfinite().all() for p in model.parameters())


def test_mixed_precision_predicts_nearly_the_same():
    model, _ = build('one-shot_r18_fpn_lstm2_cncb')
    batch = test_batch([cls_sample(256)], 256)
    with torch.no_grad():
        (full,) = model.eval().test_step(copy.deepcopy(batch))
        with torch.autocast(DEVICE.partition(':')[0], torch.bfloat16):
            (mixed,) = model.test_step(copy.deepcopy(batch))
    torch.testing.assert_close(mixed.pred_score, full.pred_score, rtol=0, atol=0.05)


def test_exported_model_equals_the_cpus(tmp_path):
    onnxruntime = pytest.importorskip('onnxruntime')
    export = pytest.importorskip('mmcovid.deployment.export')
    provider = f'{DEVICE.partition(":")[0].upper()}ExecutionProvider'
    if provider not in onnxruntime.get_available_providers():
        pytest.skip('needs onnxruntime-gpu')
    inferencer = tiny_inferencer(tiny_config())
    export.export_model(inferencer.model, metadata(temperature=1.0), tmp_path / 'model.onnx')
    grey = np.random.default_rng(0).random(SIZE, np.float32) * 255
    found, wanted = (
        OnnxPredictor(tmp_path / 'model.onnx', device=device).predict_resized(grey, '', SIZE)
        for device in (DEVICE, 'cpu')
    )
    assert_same_results(found, wanted)


def test_a_training_goes_on_after_a_stop(repo, tmp_path):
    sizes = dict.fromkeys(('train', 'val', 'test'), SplitSize(2, 2))
    write_phantom_set(
        tmp_path / 'data/phantom', sizes, sizes, SplitSize(0, 1), size=64, show_progress=False
    )

    def train(iterations, *args):
        done = subprocess.run(
            [
                sys.executable,
                '-m',
                'mmcovid',
                'train',
                str(repo / 'configs/phantom/one-shot_r18_fpn_lstm2_phantom.py'),
                '--amp',
                *args,
                '--work-dir',
                'work',
                '--cfg-options',
                f'train_cfg.max_iters={iterations}',
                'train_cfg.val_interval=100',
                'default_hooks.checkpoint.interval=2',
            ],
            cwd=tmp_path,
            env=dict(os.environ, PYTHONPATH=os.pathsep.join([str(repo), *sys.path])),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout + done.stderr

    train(2)
    assert 'resumed epoch' in train(4, '--resume')
    assert (tmp_path / 'work/last_checkpoint').read_text().endswith('iter_4.pth')
