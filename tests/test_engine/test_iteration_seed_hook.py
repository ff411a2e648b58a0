import random
from types import SimpleNamespace

import numpy as np
import torch

from mmcovid.engine import IterationSeedHook


def drawn(seed, iteration):
    IterationSeedHook().before_train_iter(SimpleNamespace(seed=seed, iter=iteration), iteration)
    return random.random(), np.random.random_sample(), torch.rand(()).item()  # noqa: NPY002


def test_an_iteration_draws_the_same_whatever_was_drawn_before():
    first = drawn(0, 5)
    drawn(1, 7)
    assert drawn(0, 5) == first


def test_iterations_and_seeds_differ():
    numbers = [number for seed in (0, 1) for iteration in (0, 1, 2)
               for number in drawn(seed, iteration)]
    assert len(set(numbers)) == len(numbers)


def test_processes_differ(monkeypatch):
    first = drawn(0, 5)
    monkeypatch.setattr('mmcovid.engine.iteration_seed_hook.get_rank', lambda: 1)
    assert not set(drawn(0, 5)) & set(first)
