"""Checkpoints that could run code are refused."""

import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.utils import digit_version

FORCE_SAFE = 'TORCH_FORCE_WEIGHTS_ONLY_LOAD'
FORCE_UNSAFE = 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'


class UnsafeCheckpointError(ValueError):
    """A checkpoint holds more than tensors and plain values, and was not loaded."""


@contextmanager
def safe_checkpoints() -> Iterator[None]:
    """Let checkpoints hold tensors and plain values only, as this project writes them.

    MMEngine tries the safe way and then unpickles whatever the file holds,
    which can run any code. PyTorch 2.6 and later can be told to refuse that.
    To trust a file of another origin, set ``TORCH_FORCE_WEIGHTS_ONLY_LOAD=0``.

    Raises:
        UnsafeCheckpointError: If a checkpoint was refused, with that remedy.
    """
    guard = (
        digit_version(torch.__version__) >= digit_version('2.6.0')
        and not {FORCE_SAFE, FORCE_UNSAFE} & os.environ.keys()
    )
    if guard:
        os.environ[FORCE_SAFE] = '1'
    try:
        yield
    except pickle.UnpicklingError as error:
        raise UnsafeCheckpointError(
            f'{error}\n\nThe checkpoint holds more than tensors and plain values and was not '
            'loaded. Convert a checkpoint of the author with "mmcovid convert author-checkpoint"; '
            f'load another one that you trust with {FORCE_SAFE}=0 in the environment.'
        ) from error
    finally:
        if guard:
            del os.environ[FORCE_SAFE]
