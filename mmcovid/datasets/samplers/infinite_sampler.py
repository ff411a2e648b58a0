from mmengine.dataset import InfiniteSampler as _InfiniteSampler

from mmcovid.registry import DATA_SAMPLERS

from .seeded_index import SeededIndices


@DATA_SAMPLERS.register_module()
class InfiniteSampler(SeededIndices, _InfiniteSampler):
    """MMEngine's sampler of one set, with seeded indices."""

    def skip(self, num_samples: int) -> None:
        """Begin after so many samples, counted from the first."""
        super().skip(num_samples)
        self.start = num_samples
