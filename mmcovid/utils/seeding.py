"""Random numbers that depend on a place in the training, not on what was drawn before."""

import random

import numpy as np
import torch


def seed_generators(seed: int, *key: int) -> None:
    """Seed the generators of Python, NumPy and PyTorch, those of CUDA included.

    Args:
        seed (int): Seed of the run.
        *key (int): What the numbers are drawn for. Each key has a stream of its own, also one that
            begins as another.
    """
    state = int(np.random.SeedSequence(seed, spawn_key=key).generate_state(1)[0])
    random.seed(state)
    np.random.seed(state)  # noqa: NPY002 - transforms draw from the global generator
    torch.manual_seed(state)
