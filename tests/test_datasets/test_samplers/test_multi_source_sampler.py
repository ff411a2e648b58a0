from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmengine.registry import DATA_SAMPLERS, init_default_scope
from torch.utils.data import ConcatDataset


def build(seg=3, cls=5, ratio=(1, 2), rank=0, world_size=1):
    init_default_scope('mmdet')
    sampler = DATA_SAMPLERS.build(
        dict(
            type='mmcovid.MultiSourceSampler',
            dataset=ConcatDataset([range(seg), range(cls)]),
            batch_size=sum(ratio),
            source_ratio=list(ratio),
            seed=7,
        )
    )
    sampler.rank, sampler.world_size = rank, world_size
    return sampler


@given(
    seg=st.integers(1, 7),
    cls=st.integers(1, 9),
    ratio=st.tuples(*[st.integers(1, 3)] * 2),
    batches=st.integers(0, 12),
    rank=st.integers(0, 1),
)
def test_goes_on_where_it_would_have_been(seg, cls, ratio, batches, rank):
    options = dict(seg=seg, cls=cls, ratio=ratio, rank=rank, world_size=2)
    whole, resumed = build(**options), build(**options)
    next(iter(resumed))  # what is skipped counts from the first sample
    resumed.skip(batches * sum(ratio))
    start = batches * sum(ratio)
    expected = list(islice(whole, start, start + 20))
    assert [(i, i.key) for i in islice(resumed, 20)] == [(i, i.key) for i in expected]
    assert expected[0].key == (7, rank, start)


def test_parts_of_batches_are_refused():
    with pytest.raises(ValueError, match='4 samples are no whole batches of 3'):
        build().skip(4)
