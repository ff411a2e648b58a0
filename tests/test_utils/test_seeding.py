import random

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmcovid.utils.seeding import seed_generators


def drawn(*key):
    seed_generators(*key)
    return random.random(), np.random.rand(), torch.rand(()).item()  # noqa: NPY002


@given(keys=st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=4), min_size=2, max_size=2))
def test_each_key_has_a_stream_of_its_own(keys):
    """Also one that begins as another, and whatever was drawn before."""
    one, other = (drawn(*key) for key in keys)
    assert drawn(*keys[0]) == one
    assert (keys[0] == keys[1]) == (one == other) == bool(set(one) & set(other))
