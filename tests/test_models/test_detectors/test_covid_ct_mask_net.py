import copy
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope
from models_utils import SIZE, cls_sample, seg_sample, slices, test_batch

CONFIGS = Path(__file__).parents[3] / 'configs'
STAGE1 = 'phantom/covid-ct-mask-net-stage1_r18_fpn_phantom.py'
STAGE2 = 'phantom/covid-ct-mask-net_r18_fpn_phantom.py'


@pytest.fixture(scope='module')
def stage1():
    """A Mask R-CNN whose BatchNorm statistics are those of slices."""
    init_default_scope('mmdet')
    torch.manual_seed(0)
    config = Config.fromfile(CONFIGS / STAGE1)
    # or the residual branches start at zero, which stops their gradient
    config.model.backbone.zero_init_residual = False
    model = MODELS.build(config.model)
    model.init_weights()
    with torch.no_grad():
        for _ in range(20):
            model.train().backbone(torch.randn(2, 3, SIZE, SIZE))
        # untrained: let it tell lesions from background at all
        model.roi_head.bbox_head.fc_cls.weight.normal_(std=0.2)
    return model.eval()


@pytest.fixture
def checkpoint(stage1, tmp_path):
    path = str(tmp_path / 'stage1.pth')
    torch.save(dict(state_dict=stage1.state_dict(), meta={}), path)
    return path


@pytest.fixture
def build(load_config, checkpoint):

    def build_model(**options):
        torch.manual_seed(1)
        options = {'model.stage1': checkpoint, **options}
        model = MODELS.build(load_config(STAGE2, **options).model)
        model.init_weights()
        return model

    return build_model


def _train_step(model, samples, lr=1e-2):
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=lr)
    return model.train().train_step(test_batch(samples), OptimWrapper(optimizer))


def test_stage1_fills_all_but_the_image_head(build, stage1):
    own, loaded = build().state_dict(), stage1.state_dict()
    assert {key.split('.')[0] for key in own.keys() ^ loaded.keys()} == {'image_head'}
    assert all(torch.equal(own[key], loaded[key]) for key in loaded)


def test_stage1_that_is_missing_or_of_another_detector(build, stage1, tmp_path):
    with pytest.raises(FileNotFoundError, match='nothing.pth.*Train it first'):
        build(**{'model.stage1': 'nothing.pth'})
    other = str(tmp_path / 'other.pth')
    state = stage1.state_dict()
    del state['neck.fpn_convs.0.conv.bias']
    torch.save(dict(state_dict=state), other)
    with pytest.raises(ValueError, match='other.pth.*1: neck.fpn_convs.0.conv.bias'):
        build(**{'model.stage1': other})
    with pytest.raises(ValueError, match='another shape are 4: roi_head.bbox_head.fc_cls'):
        build(**{'model.roi_head.bbox_head.num_classes': 1})


def test_only_the_image_head_and_the_weights_of_batch_norm_train(build):
    model = build()
    before = copy.deepcopy(model.state_dict())
    log_vars = _train_step(model, [cls_sample(label=i % 3, seed=i) for i in range(4)])
    assert torch.isfinite(log_vars['loss_image'])
    changed = {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    norms = {
        f'backbone.{name}.{part}'
        for name, module in model.backbone.named_modules()
        if isinstance(module, torch.nn.BatchNorm2d)
        for part in ('weight', 'bias')
    }
    head = {key for key in before if key.startswith('image_head.')}
    assert changed == norms | head
    trainable = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trainable == norms | head


def test_a_statistic_that_would_move_is_refused(build):
    with pytest.raises(ValueError, match='norm_eval=True'):
        build(**{'model.backbone.norm_eval': False})


def test_it_segments_as_its_first_stage_does(build, stage1):
    samples = [seg_sample(), seg_sample(seed=1)]
    expected = stage1.test_step(test_batch(copy.deepcopy(samples)))
    results = build().eval().test_step(test_batch(samples))
    assert sum(len(result.pred_instances) for result in results) > 0
    for result, stage1_result in zip(results, expected):
        for key in ('bboxes', 'scores', 'labels', 'masks'):
            torch.testing.assert_close(
                result.pred_instances[key], stage1_result.pred_instances[key]
            )


def test_fields_of_a_result(build):
    model = build().eval()
    samples = [cls_sample(), seg_sample(seed=1)]
    results = model.test_step(test_batch(copy.deepcopy(samples)))
    assert ['pred_instances' in result for result in results] == [False, True]
    for result in results:
        assert result.pred_label.shape == (1,) and result.pred_label.dtype == torch.int64
        assert result.pred_logits.shape == result.pred_score.shape == (3,)
    model.test_cfg['detect_cls_slices'] = True
    asked = model.test_step(test_batch(samples))
    assert all('pred_instances' in result for result in asked)
    torch.testing.assert_close(asked[0].pred_logits, results[0].pred_logits)


def test_a_batch_gives_what_single_slices_give(build):
    model = build().eval()
    together = model.test_step(test_batch([cls_sample(seed=i) for i in range(3)]))
    assert len({tuple(result.pred_logits.tolist()) for result in together}) == 3
    for i, img in enumerate(slices(3)):
        (alone,) = model.test_step(dict(inputs=[img], data_samples=[cls_sample(seed=i)]))
        torch.testing.assert_close(together[i].pred_logits, alone.pred_logits, atol=1e-4, rtol=1e-3)


def test_without_any_proposal(build):
    model = build(**{'model.test_cfg.rpn.min_bbox_size': 10**6})
    assert torch.isfinite(_train_step(model, [cls_sample(), cls_sample(seed=1)])['loss_image'])
    first, second = model.eval().test_step(test_batch([seg_sample(), seg_sample(seed=1)]))
    assert len(first.pred_instances) == 0
    assert torch.isfinite(first.pred_score).all()
    assert torch.equal(first.pred_logits, second.pred_logits)  # nothing tells them apart


def test_tensor_mode(build):
    model = build().eval()
    data = model.data_preprocessor(test_batch([cls_sample(), cls_sample(seed=1)]), False)
    assert model(**data, mode='tensor')[-1].shape == (2, 3)
