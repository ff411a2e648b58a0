from itertools import islice

from mmdet.datasets.samplers import MultiSourceSampler as _MultiSourceSampler

from mmcovid.registry import DATA_SAMPLERS

from .seeded_index import SeededIndices


@DATA_SAMPLERS.register_module()
class MultiSourceSampler(SeededIndices, _MultiSourceSampler):
    """MMDetection's sampler of several sets, with seeded indices.

    It can begin where a training was broken off.
    """

    def skip(self, num_samples: int) -> None:
        """Begin after so many samples, as MMEngine's loop asks for when it resumes.

        Args:
            num_samples (int): Samples that this process has drawn before, of whole batches,
                counted from the first.

        Raises:
            ValueError: If these are no whole batches.
        """
        batches, rest = divmod(num_samples, self.batch_size)
        if rest or num_samples < 0:
            raise ValueError(f'{num_samples} samples are no whole batches of {self.batch_size}')
        self.source2inds = {
            source: islice(
                self._indices_of_rank(len(dataset)), batches * self.num_per_source[source], None
            )
            for source, dataset in enumerate(self.dataset.datasets)
        }
        self.start = num_samples
