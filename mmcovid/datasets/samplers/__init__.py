"""Samplers whose draws depend on the seed and the place only."""

from .infinite_sampler import InfiniteSampler
from .multi_source_sampler import MultiSourceSampler
from .seeded_index import SeededIndex

__all__ = ['InfiniteSampler', 'MultiSourceSampler', 'SeededIndex']
