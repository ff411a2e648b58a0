from types import SimpleNamespace

import torch

from mmcovid.engine import IterationSeedHook


def drawn(seed, iteration):
    IterationSeedHook().before_train_iter(SimpleNamespace(seed=seed, iter=iteration), iteration)
    return torch.rand(()).item()


def test_an_iteration_draws_the_same_whatever_was_drawn_before():
    first = drawn(0, 5)
    torch.rand(3)
    assert drawn(0, 5) == first


def test_iterations_seeds_and_processes_differ(monkeypatch):
    numbers = [drawn(seed, iteration) for seed in (0, 1) for iteration in (0, 1, 2)]
    monkeypatch.setattr('mmcovid.engine.iteration_seed_hook.get_rank', lambda: 1)
    numbers.append(drawn(0, 1))
    assert len(set(numbers)) == len(numbers)
