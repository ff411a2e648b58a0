import pytest
import torch
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
from mmengine.hooks import Hook
from models_utils import train_batch
from training_utils import NumberModel, checkpoints, named, number_runner

from mmcovid.engine import DivergenceHook
from mmcovid.engine.divergence_hook import slice_names
from mmcovid.utils.errors import TrainingError


class Spoiler(Hook):
    """Makes the weight something else after so many iterations, before it is saved."""

    def __init__(self, after, value):
        self.after, self.value = after, value

    def after_train_iter(self, runner, *args, **kwargs):
        if runner.iter + 1 == self.after:
            runner.model.weight.data.fill_(self.value)


@pytest.mark.parametrize(
    'value, reason',
    [(float('nan'), 'gradients are not finite'), (1e5, r'loss is [\d.]+e\+\d+')],
)
def test_an_exploded_loss_ends_the_training(tmp_path, value, reason):
    with pytest.raises(TrainingError) as error:
        number_runner(tmp_path, hooks=[Spoiler(5, value)]).train()
    assert error.match(rf'.*diverged in iteration 6: {reason}\. Slices of the batch, 2: \d.png')
    assert error.match(rf'.*Last good checkpoint: {tmp_path}/iter_4.pth\. ')
    assert error.match(rf'.*--cfg-options load_from={tmp_path}/iter_4.pth: ')


def test_the_checkpoint_that_diverged_is_never_the_last(tmp_path):
    with pytest.raises(TrainingError, match='Last good checkpoint: .*iter_2.pth'):
        number_runner(
            tmp_path, hooks=[Spoiler(4, 1e5)], **{'default_hooks.checkpoint.max_keep_ckpts': 1}
        ).train()
    assert checkpoints(tmp_path) == ['diverged_iter_4.pth', 'iter_2.pth']
    assert named(tmp_path) == 'iter_2.pth'


def test_there_may_be_no_good_checkpoint(tmp_path):
    with pytest.raises(TrainingError, match='There is no good checkpoint') as error:
        number_runner(tmp_path, hooks=[Spoiler(2, 1e5)]).train()
    assert 'None' not in str(error.value)
    assert checkpoints(tmp_path) == ['diverged_iter_2.pth']
    assert not (tmp_path / 'last_checkpoint').exists()


def test_checkpoints_of_a_former_training_are_left_alone(tmp_path):
    number_runner(tmp_path, iters=8).train()
    (tmp_path / 'iter_8.pth').rename(tmp_path / 'iter_3.pth')
    with pytest.raises(TrainingError, match='Last good checkpoint: .*iter_2.pth'):
        number_runner(tmp_path, iters=8, hooks=[Spoiler(3, 1e5)]).train()  # which saved no iter_3
    assert checkpoints(tmp_path) == ['iter_2.pth', 'iter_3.pth', 'iter_6.pth']
    with pytest.raises(TrainingError, match='Last good checkpoint: .*iter_3.pth'):
        number_runner(tmp_path, iters=8, hooks=[Spoiler(4, 1e5)]).train()
    assert checkpoints(tmp_path) == ['diverged_iter_4.pth', *checkpoints(tmp_path)[1:]]


def test_a_learning_rate_that_is_far_too_high(tmp_path):
    with pytest.raises(TrainingError, match='the training diverged in iteration'):
        number_runner(tmp_path, iters=200, lr=1e3).train()
    assert checkpoints(tmp_path) == ['diverged_iter_2.pth']


def test_gradients_spoil_no_weight(tmp_path, monkeypatch):
    class Overflow(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, grad):
            return grad / 0

    losses = NumberModel.forward
    monkeypatch.setattr(
        NumberModel,
        'forward',
        lambda *args, **kwargs: dict(loss=Overflow.apply(losses(*args, **kwargs)['loss'])),
    )
    runner = number_runner(tmp_path)
    with pytest.raises(TrainingError, match='iteration 1: gradients are not finite'):
        runner.train()
    assert runner.model.weight == 1


def test_steps_that_a_loss_scale_leaves_out_are_no_divergence():
    parameter = torch.nn.Parameter(torch.ones(()))
    parameter.grad = torch.tensor(float('inf'))
    optimizer = torch.optim.SGD([parameter], lr=1)
    optimizer.found_inf = torch.ones(())  # as GradScaler tells a fused optimiser
    DivergenceHook()._check_gradients(optimizer)


def test_boxes_crash_no_operator(tmp_path):
    runner = number_runner(tmp_path, iters=1)
    runner.model.extractor = SingleRoIExtractor(
        dict(type='RoIAlign', output_size=7, sampling_ratio=2), 4, [32]
    )
    boxes = torch.tensor([[0, 0, 0, float('inf'), float('inf')]])

    class Extraction(Hook):
        def before_train_iter(self, runner, *args, **kwargs):
            runner.model.extractor([torch.rand(1, 4, 8, 8)], boxes)  # a segmentation fault

    runner.register_hook(Extraction(), 'LOWEST')
    with pytest.raises(TrainingError, match='iteration 1: boxes of regions are not finite'):
        runner.train()


def test_names_are_those_of_both_branches():
    batch = train_batch(num_seg=2, num_cls=1)
    assert slice_names(batch) == ['seg_0.png', 'seg_1.png', 'cls_0.png']
    assert slice_names(torch.ones(2)) == []
