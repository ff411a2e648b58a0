import copy

import pytest
import torch
from mmdet.models.task_modules.samplers import RandomSampler
from mmdet.registry import MODELS
from mmengine.optim import OptimWrapper
from models_utils import SIZE, cls_sample, narrow, seg_sample, slices, test_batch, train_batch


@pytest.fixture
def build(load_config):

    def build_model(path='one_shot/one-shot_r18_fpn_lstm2_cncb.py', **options):
        torch.manual_seed(0)
        config = narrow(load_config(path))
        config.merge_from_dict(options)
        model = MODELS.build(config.model)
        model.init_weights()
        return model

    return build_model


def _optim_wrapper(model, lr=1e-4):
    return OptimWrapper(torch.optim.Adam(model.parameters(), lr=lr, weight_decay=1e-3))


def _snapshot(model):
    return {k: v.detach().clone() for k, v in model.named_parameters()}


def _changed(model, before):
    return {k for k, v in model.named_parameters() if not torch.equal(v, before[k])}


def _branch(data, branch):
    return {branch: data['inputs'][branch]}, {branch: data['data_samples'][branch]}


def _prefixes(names):
    """The parts of the model that the parameters belong to."""
    parts = set()
    for name in names:
        part = '.'.join(name.split('.')[:2])
        parts.add(part if part.startswith('roi_head') else name.split('.')[0])
    return parts


# training


@pytest.mark.parametrize('variant', ['attn', 'lstm1', 'lstm2'])
def test_alternate_updates_every_trained_part_and_logs_both_branches(build, variant):
    model = build(f'one_shot/one-shot_r18_fpn_{variant}_cncb.py', **{'model.sync_policy': 'never'})
    before = _snapshot(model)
    log_vars = model.train_step(train_batch(2, 3), _optim_wrapper(model))
    assert _prefixes(_changed(model, before)) == {
        'backbone',
        'neck',
        'rpn_head',
        'roi_head.bbox_head',
        'roi_head.mask_head',
        'attention_head',
    }
    assert {
        'seg_loss_rpn_cls',
        'seg_loss_rpn_bbox',
        'seg_loss_cls',
        'seg_loss_bbox',
        'seg_loss_mask',
        'cls_loss_image',
        'loss',
    } <= set(log_vars)
    total = sum(v for k, v in log_vars.items() if 'loss' in k and k != 'loss')
    torch.testing.assert_close(log_vars['loss'], total)


def test_attention_head_is_the_image_head(build):
    model = build()
    assert model.image_head is model.attention_head
    assert not any(key.startswith('image_head') for key in model.state_dict())


def test_image_loss_reaches_backbone_neck_and_attention_head_only(build):
    # by default the residual branches start at zero, which stops their gradient
    model = build(**{'model.backbone.zero_init_residual': False})
    data = model.data_preprocessor(train_batch(), True)
    losses = model(*_branch(data, 'cls'), mode='loss')
    losses['cls_loss_image'].backward()
    reached = {n for n, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    assert _prefixes(reached) == {'backbone', 'neck', 'attention_head'}
    trained = {n for n, _ in model.named_parameters() if _prefixes([n]) <= _prefixes(reached)}
    assert trained == reached


def test_detection_loss_reaches_all_but_attention_head_and_copied_branch(build):
    model = build()
    data = model.data_preprocessor(train_batch(), True)
    losses = model(*_branch(data, 'seg'), mode='loss')
    model.parse_losses(losses)[0].backward()
    reached = {n for n, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    assert _prefixes(reached) == {
        'backbone',
        'neck',
        'rpn_head',
        'roi_head.bbox_head',
        'roi_head.mask_head',
    }


def test_optimiser_steps_of_one_branch_leave_the_other_branch_alone(build):
    """Weight decay must not touch parameters without a gradient either."""
    model = build(**{'model.sync_policy': 'never'})
    optim_wrapper = _optim_wrapper(model)
    changes = []
    update_params = optim_wrapper.update_params

    def spy(loss):
        before = _snapshot(model)
        update_params(loss)
        changes.append(_prefixes(_changed(model, before)))

    optim_wrapper.update_params = spy
    for _ in range(2):
        model.train_step(train_batch(), optim_wrapper)
    seg = {'backbone', 'neck', 'rpn_head', 'roi_head.bbox_head', 'roi_head.mask_head'}
    assert changes == [seg, {'backbone', 'neck', 'attention_head'}] * 2


def test_joint_update_is_one_step_on_the_weighted_sum(build):
    model = build(**{'model.update_policy': 'joint', 'model.task_weights': dict(cls=3.0)})
    optim_wrapper = _optim_wrapper(model)
    losses = []
    update_params = optim_wrapper.update_params
    optim_wrapper.update_params = lambda loss: (losses.append(loss.detach()), update_params(loss))
    before = _snapshot(model)
    reference = copy.deepcopy(model)
    log_vars = model.train_step(train_batch(), optim_wrapper)
    assert len(losses) == 1
    assert {'backbone', 'rpn_head', 'attention_head'} <= _prefixes(_changed(model, before))

    data = reference.data_preprocessor(train_batch(), True)
    reference.task_weights = dict(seg=1.0, cls=1.0)
    unweighted = reference(*_branch(data, 'cls'), mode='loss')['cls_loss_image']
    torch.testing.assert_close(log_vars['cls_loss_image'], 3 * unweighted.detach())


def _branch_is_in_sync(model):
    copied, roi_head = model.roi_head.classification_branch, model.roi_head
    pairs = [
        (copied.bbox_head, roi_head.bbox_head),
        (copied.convs, roi_head.mask_head.convs),
        (copied.upsample, roi_head.mask_head.upsample),
    ]
    return all(
        torch.equal(p, q)
        for a, b in pairs
        for p, q in zip(a.parameters(), b.parameters(), strict=True)
    )


def test_branches_start_alike_but_for_one_bias(build):
    model = build()
    assert not _branch_is_in_sync(model)
    assert (model.roi_head.classification_branch.upsample.bias == 0.01).all()
    model.roi_head.classification_branch.upsample.bias.copy_(model.roi_head.mask_head.upsample.bias)
    assert _branch_is_in_sync(model)


@pytest.mark.parametrize(
    'policy,last_loss,copied',
    [
        ('improved', float('inf'), True),
        ('improved', 0.0, False),
        ('always', 0.0, True),
        ('never', float('inf'), False),
    ],
)
@pytest.mark.parametrize('update_policy', ['alternate', 'joint'])
def test_sync_policy(build, policy, last_loss, copied, update_policy):
    model = build(**{'model.sync_policy': policy, 'model.update_policy': update_policy})
    with torch.no_grad():  # the branches differ, as after some steps
        for parameter in model.roi_head.bbox_head.parameters():
            parameter.add_(0.01)
    at_step = copy.deepcopy(model.roi_head.bbox_head.state_dict())
    model.last_seg_loss.fill_(last_loss)
    log_vars = model.train_step(train_batch(), _optim_wrapper(model))
    seg_loss = sum(v for k, v in log_vars.items() if k.startswith('seg_loss'))
    torch.testing.assert_close(model.last_seg_loss, torch.as_tensor(seg_loss))
    if update_policy == 'joint':
        assert _branch_is_in_sync(model) == copied
    else:  # the copy has the weights that had the loss, from before the step
        branch = model.roi_head.classification_branch.bbox_head.state_dict()
        assert all(torch.equal(branch[k], v) for k, v in at_step.items()) == copied


@pytest.mark.parametrize('num_lesions', [0, 1])
def test_slices_without_lesions_train(build, num_lesions):
    model = build()
    log_vars = model.train_step(train_batch(2, 1, num_lesions=num_lesions), _optim_wrapper(model))
    assert all(torch.isfinite(torch.as_tensor(v)).all() for v in log_vars.values())


def test_a_batch_with_and_without_lesions_trains(build):
    model = build()
    batch = train_batch(2, 1)
    batch['data_samples']['seg'][0] = seg_sample(num_lesions=0)
    log_vars = model.train_step(batch, _optim_wrapper(model))
    assert torch.isfinite(log_vars['loss'])


def test_without_any_proposal(build):
    """A huge minimal size leaves none of the region proposals."""
    options = {
        'model.train_cfg.rpn_proposal.min_bbox_size': 10**6,
        'model.test_cfg.rpn.min_bbox_size': 10**6,
    }
    model = build(**options)
    for num_lesions in (0, 2):
        log_vars = model.train_step(
            train_batch(1, 2, num_lesions=num_lesions), _optim_wrapper(model)
        )
        assert torch.isfinite(log_vars['loss'])
    model.eval()
    sample = model.test_step(test_batch([seg_sample()]))[0]
    assert len(sample.pred_instances) == 0
    assert sample.pred_instances.masks.shape == (0, SIZE, SIZE)
    assert sample.roi_sequence.bboxes.tolist() == [[0, 0, SIZE, SIZE]] * 16
    assert torch.isfinite(sample.pred_score).all()


def test_plain_batch_is_refused_with_the_remedy(build):
    model = build()
    data = model.data_preprocessor(test_batch([seg_sample()]), False)
    with pytest.raises(TypeError, match='MultiBranch'):
        model(**data, mode='loss')


@pytest.mark.parametrize('sizes', [dict(num_seg=0), dict(num_cls=0)])
def test_training_batch_of_one_set_is_refused(build, sizes):
    model = build()
    with pytest.raises(ValueError, match='source_ratio'):
        model.train_step(train_batch(**sizes), _optim_wrapper(model))


def test_training_batch_without_a_branch_is_refused(build):
    model = build()
    data = train_batch()
    del data['inputs']['cls'], data['data_samples']['cls']
    with pytest.raises(TypeError, match=r"branches seg and cls, got \['seg'\]"):
        model.train_step(data, _optim_wrapper(model))


def test_wrong_options_are_refused(build):
    for option in ('model.update_policy', 'model.sync_policy', 'model.roi_head.roi_sequence.order'):
        with pytest.raises(ValueError, match='must be one of'):
            build(**{option: 'wrong'})


def test_gradient_clipping(build):
    model = build()
    optim_wrapper = OptimWrapper(
        torch.optim.SGD(model.parameters(), lr=1.0), clip_grad=dict(max_norm=1e-3)
    )
    before = _snapshot(model)
    model.train_step(train_batch(), optim_wrapper)
    moved = (
        sum(
            (p.detach() - before[n]).norm() ** 2
            for n, p in model.named_parameters()
            if p.requires_grad
        )
        ** 0.5
    )  # the copied branch moves by its synchronisation
    assert 0 < moved < 2.1e-3  # two clipped steps


def _first_boxes(self, gallery, num):
    """Instead of random ones, which differ by the size of the batch."""
    return gallery[:num]


# losses are means over the same number of boxes for every slice
EVEN = {
    'model.train_cfg.rpn.sampler.num': 32,
    'model.train_cfg.rcnn.sampler.num': 16,
    'model.train_cfg.rcnn.sampler.pos_fraction': 0.125,
}


def _parts(batch, num):
    """A batch as so many batches of one slice of each set."""
    return [
        {
            field: dict(seg=[values['seg'][i], None], cls=[None, values['cls'][num + i]])
            for field, values in batch.items()
        }
        for i in range(num)
    ]


@pytest.mark.parametrize('update_policy', ['alternate', 'joint'])
@pytest.mark.parametrize(
    'num,counts,optimizer',
    [(2, {}, torch.optim.Adam), (3, dict(init_counts=4, max_counts=7), torch.optim.SGD)],
)
def test_accumulated_gradients_are_those_of_one_large_batch(
    build, monkeypatch, update_policy, num, counts, optimizer
):
    """The last three of seven batches, accumulated by four, make a step, too."""
    monkeypatch.setattr(RandomSampler, 'random_choice', _first_boxes)
    options = {**EVEN, 'model.update_policy': update_policy}
    batch = train_batch(num, num)
    large, model = build(**options), build(**options)
    before = _snapshot(model)
    expected = large.train_step(
        copy.deepcopy(batch), OptimWrapper(optimizer(large.parameters(), lr=1e-4))
    )

    optim_wrapper = OptimWrapper(
        optimizer(model.parameters(), lr=1e-4), accumulative_counts=4 if counts else num
    )
    if counts:
        optim_wrapper.initialize_count_status(model, **counts)
    for part in _parts(batch, num):
        assert not _changed(model, before)
        log_vars = model.train_step(part, optim_wrapper)
    moves = [
        torch.cat([(p.detach() - before[n]).flatten() for n, p in each.named_parameters()])
        for each in (model, large)
    ]
    assert (moves[0] - moves[1]).norm() < 1e-2 * moves[1].norm()
    torch.testing.assert_close(model.last_seg_loss, large.last_seg_loss)
    if update_policy == 'alternate':
        torch.testing.assert_close(log_vars['cls_loss_image'], expected['cls_loss_image'])


def test_image_gradients_of_waiting_batches_do_not_enter_the_other_step(build):
    model = build(**{'model.sync_policy': 'never'})
    steps = []
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    optimizer.register_step_pre_hook(
        lambda *args: steps.append(
            {n for n, p in model.named_parameters() if p.grad is not None and p.grad.any()}
        )
    )
    optim_wrapper = OptimWrapper(optimizer, accumulative_counts=2)
    for part in _parts(train_batch(4, 4), 4):
        model.train_step(part, optim_wrapper)
    assert [_prefixes(reached) & {'rpn_head', 'attention_head'} for reached in steps] == [
        {'rpn_head'},
        {'attention_head'},
    ] * 2


# testing


def test_fields_of_a_result(build):
    model = build().eval()
    sample = model.test_step(test_batch([seg_sample()]))[0]
    assert {'bboxes', 'labels', 'scores', 'masks'} <= set(sample.pred_instances.keys())
    assert sample.pred_instances.masks.shape[1:] == (SIZE, SIZE)
    assert sample.pred_label.shape == (1,) and sample.pred_label.dtype == torch.int64
    assert sample.pred_logits.shape == sample.pred_score.shape == (3,)
    assert sample.pred_label.item() == sample.pred_logits.argmax()
    assert sample.roi_sequence.bboxes.shape == (16, 4)
    assert sample.roi_sequence.attention.shape == (16, 2)
    assert sample.roi_sequence.labels.shape == sample.roi_sequence.scores.shape == (16,)
    distance = sample.roi_sequence.bboxes[:, :2].norm(dim=1)
    assert (distance.diff() >= 0).all()


@pytest.mark.parametrize('variant,shape', [('attn', (16,)), ('lstm1', (16,)), ('lstm2', (16, 2))])
def test_attention_by_variant(build, variant, shape):
    model = build(f'one_shot/one-shot_r18_fpn_{variant}_cncb.py').eval()
    sample = model.test_step(test_batch([cls_sample()]))[0]
    assert sample.roi_sequence.attention.shape == shape


@pytest.mark.parametrize('num', [2, 5])
def test_a_batch_gives_what_single_slices_give(build, num):
    model = build().eval()
    size = 256
    together = model.test_step(test_batch([seg_sample(size, seed=i) for i in range(num)], size))
    for i, img in enumerate(slices(num, size)):
        alone = model.test_step(dict(inputs=[img], data_samples=[seg_sample(size, seed=i)]))[0]
        torch.testing.assert_close(together[i].pred_logits, alone.pred_logits, atol=1e-4, rtol=0)
        torch.testing.assert_close(
            together[i].roi_sequence.bboxes, alone.roi_sequence.bboxes, atol=1e-2, rtol=0
        )
        assert len(together[i].pred_instances) == len(alone.pred_instances)


def test_results_are_in_pixels_of_the_original_image(build):
    model = build().eval()
    sample = seg_sample()
    sample.set_metainfo(dict(ori_shape=(SIZE * 2, SIZE // 2), scale_factor=(2.0, 0.5)))
    scaled = model.test_step(test_batch([sample]))[0]
    plain = model.test_step(test_batch([seg_sample()]))[0]
    factors = torch.tensor([0.5, 2.0, 0.5, 2.0])
    torch.testing.assert_close(scaled.roi_sequence.bboxes, plain.roi_sequence.bboxes * factors)
    torch.testing.assert_close(scaled.pred_instances.bboxes, plain.pred_instances.bboxes * factors)
    assert scaled.pred_instances.masks.shape[1:] == (SIZE * 2, SIZE // 2)


def test_slices_to_classify_run_no_detection_unless_asked(build):
    model = build().eval()
    batch = [cls_sample(), seg_sample(), cls_sample(seed=2)]
    results = model.test_step(test_batch(copy.deepcopy(batch)))
    assert ['pred_instances' in r for r in results] == [False, True, False]
    assert all('pred_label' in r for r in results)
    model.test_cfg['detect_cls_slices'] = True
    asked = model.test_step(test_batch(copy.deepcopy(batch)))
    assert all('pred_instances' in r for r in asked)
    for a, b in zip(results, asked):
        torch.testing.assert_close(a.pred_logits, b.pred_logits, atol=1e-4, rtol=0)


def test_random_order_is_reproducible_in_testing(build):
    model = build(**{'model.roi_head.roi_sequence.order': 'random'}).eval()
    first, second = (model.test_step(test_batch([cls_sample()]))[0] for _ in range(2))
    assert torch.equal(first.roi_sequence.bboxes, second.roi_sequence.bboxes)


def test_length_of_the_sequence_is_set_in_one_place(build):
    model = build(
        **{'model.roi_head.roi_sequence.num_rois': 8, 'model.attention_head.lstm_channels': 8}
    ).eval()
    sample = model.test_step(test_batch([cls_sample()]))[0]
    assert sample.roi_sequence.attention.shape == (8, 2)


def test_frozen_batch_norm_is_a_config_option(build):
    model = build(
        **{
            'model.backbone.norm_cfg': dict(_delete_=True, type='BN', requires_grad=False),
            'model.backbone.norm_eval': True,
        }
    )
    assert type(model.backbone.bn1) is torch.nn.BatchNorm2d
    before = model.backbone.bn1.running_mean.clone()
    model.train().train_step(train_batch(), _optim_wrapper(model))
    assert torch.equal(model.backbone.bn1.running_mean, before)


def test_tensor_mode(build):
    model = build().eval()
    data = model.data_preprocessor(test_batch([seg_sample(), seg_sample(seed=1)]), False)
    outs = model(**data, mode='tensor')
    assert outs[-1].shape == (2, 3)
