import pickle
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st
from mmengine.dataset import InfiniteSampler as Plain
from mmengine.registry import DATA_SAMPLERS, init_default_scope


def build():
    init_default_scope('mmdet')
    return DATA_SAMPLERS.build(dict(type='mmcovid.InfiniteSampler', dataset=range(5), seed=7))


@given(skipped=st.integers(0, 30))
def test_goes_on_where_it_would_have_been(skipped):
    resumed = build()
    resumed.skip(skipped)
    expected = list(islice(build(), skipped, skipped + 20))
    assert [(i, i.key) for i in islice(resumed, 20)] == [(i, i.key) for i in expected]


def test_order_is_that_of_the_plain_sampler():
    assert list(islice(build(), 20)) == list(islice(Plain(range(5), seed=7), 20))


def test_seeded_indices_reach_the_workers():
    first, second = (pickle.loads(pickle.dumps(index)) for index in islice(build(), 2))
    assert (first.key, second.key) == ((7, 0, 0), (7, 0, 1))
    assert range(5)[first] == int(first)
