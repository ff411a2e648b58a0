import torch
from mmdet.registry import MODELS
from mmengine.registry import OPTIM_WRAPPERS
from models_utils import narrow, train_batch


def test_accumulates_by_branch(load_config):
    torch.manual_seed(0)
    model = MODELS.build(narrow(load_config()).model)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    reached = []
    optimizer.register_step_pre_hook(
        lambda *args: reached.append(
            [n for n, p in model.named_parameters() if p.grad is not None and p.grad.any()]
        )
    )
    optim_wrapper = OPTIM_WRAPPERS.build(
        dict(type='mmcovid.BF16OptimWrapper', optimizer=optimizer, accumulative_counts=2)
    )
    for step in range(4):
        model.train_step(train_batch(seed=step), optim_wrapper)
    heads = [
        {name.split('.')[0] for name in names} & {'rpn_head', 'attention_head'} for names in reached
    ]
    assert heads == [{'rpn_head'}, {'attention_head'}] * 2


def test_trains_in_mixed_precision_on_a_cpu(load_config):
    torch.manual_seed(0)
    model = MODELS.build(narrow(load_config()).model)
    optim_wrapper = OPTIM_WRAPPERS.build(
        dict(
            type='mmcovid.BF16OptimWrapper',
            optimizer=torch.optim.Adam(model.parameters(), lr=1e-4),
            clip_grad=dict(max_norm=1.0),
        )
    )
    dtypes = set()
    hook = model.backbone.conv1.register_forward_hook(lambda *args: dtypes.add(args[2].dtype))
    before = {k: v.clone() for k, v in model.state_dict().items()}
    for step in range(2):
        log_vars = model.train_step(train_batch(1, 2, seed=step), optim_wrapper)
        assert all(torch.isfinite(torch.as_tensor(v)).all() for v in log_vars.values())
    hook.remove()
    assert dtypes == {torch.bfloat16}
    for name in (
        'backbone.conv1.weight',
        'attention_head.branches.0.lstm.weight_hh_l0',
        'roi_head.mask_head.convs.0.conv.weight',
    ):
        after = model.state_dict()[name]
        assert after.dtype == torch.float32
        assert not torch.equal(after, before[name])
