import copy
import socket

import pytest
import torch
import torch.multiprocessing as mp
from mmdet.models.task_modules.samplers import RandomSampler
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import MODEL_WRAPPERS, init_default_scope
from models_utils import narrow, train_batch

#: Policy of the updates, and batches whose gradients are accumulated.
WAYS = [('alternate', 1), ('joint', 1), ('alternate', 2), ('joint', 2)]


def _config(repo, update_policy):
    """A model whose losses are means over the same number of boxes on every process."""
    config = narrow(Config.fromfile(repo / 'configs/one_shot/one-shot_r18_fpn_lstm2_cncb.py'))
    config.model.update_policy = update_policy
    config.model.backbone.init_cfg = None
    config.model.train_cfg.rpn.sampler.update(num=32)
    config.model.train_cfg.rcnn.sampler.update(num=16, pos_fraction=0.125)
    return config


def _first_boxes(self, gallery, num):
    """Instead of random ones, which differ by the number of processes."""
    return gallery[:num]


def _build(config, accumulated):
    init_default_scope('mmdet')
    RandomSampler.random_choice = _first_boxes
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = MODELS.build(config.model)
    return model, OptimWrapper(
        torch.optim.SGD(model.parameters(), lr=1e-3), accumulative_counts=accumulated
    )


def _train(model, optim_wrapper, iteration, share=slice(None)):
    """Train on a global batch of two slices of each set, or on one process's share of it.

    Those of the second iteration have no lesions: it leaves out the mask head.
    """
    batch = train_batch(2, 2, seed=10 * iteration, num_lesions=0 if iteration else 2)
    for field in batch.values():
        field['seg'] = field['seg'][:2][share] + [None]
        field['cls'] = [None] + field['cls'][2:][share]
    return model.train_step(batch, optim_wrapper)


def _rank(rank, port, folder, repo):
    torch.distributed.init_process_group(
        'gloo', init_method=f'tcp://127.0.0.1:{port}', rank=rank, world_size=2
    )
    for way in WAYS:
        update_policy, accumulated = way
        config = _config(repo, update_policy)
        model, optim_wrapper = _build(config, accumulated)
        # as the runner wraps it
        model = MODEL_WRAPPERS.build(dict(config.model_wrapper_cfg, module=model, device_ids=[0]))
        states = []
        for iteration in range(2):
            log_vars = _train(model, optim_wrapper, iteration, slice(rank, rank + 1))
            assert {'seg_loss_mask', 'loss'} <= set(log_vars)
            states.append(copy.deepcopy(model.module.state_dict()))
        assert 'cls_loss_image' in log_vars
        torch.save(states, _states_file(folder, way, rank))
    torch.distributed.destroy_process_group()


def _states_file(folder, way, rank):
    return folder / '-'.join(map(str, (*way, rank, 'states.pt')))


@pytest.fixture(scope='module')
def folder(repo, tmp_path_factory):
    """Where two processes left their weights after each iteration, by way and rank."""
    folder = tmp_path_factory.mktemp('ranks')
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    mp.spawn(_rank, args=(port, folder, repo), nprocs=2)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize('way', WAYS, ids=str)
def test_two_processes_do_what_one_does_with_the_same_global_batch(repo, folder, way, monkeypatch):
    monkeypatch.setattr(RandomSampler, 'random_choice', _first_boxes)
    update_policy, accumulated = way
    first, second = (torch.load(_states_file(folder, way, rank)) for rank in range(2))
    for one, other in zip(first, second):
        for key, value in one.items():
            assert torch.equal(value, other[key]), key

    # after one step: later ones multiply the rounding errors of random weights
    threads = torch.get_num_threads()
    model, optim_wrapper = _build(_config(repo, update_policy), accumulated)
    before = copy.deepcopy(model.state_dict())
    for iteration in range(accumulated):
        _train(model, optim_wrapper, iteration)
    stepped = first[accumulated - 1]
    torch.set_num_threads(threads)
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    moves = torch.cat([(model.state_dict()[n] - before[n]).flatten() for n in trained])
    other_moves = torch.cat([(stepped[n] - before[n]).flatten() for n in trained])
    assert moves.norm() > 0
    assert (moves - other_moves).norm() < 1e-2 * moves.norm()
    torch.testing.assert_close(stepped['last_seg_loss'], model.last_seg_loss)
