from collections.abc import Iterator

from torch.utils.data import Sampler


class SeededIndex(int):
    """Index of a sample, with what the random numbers of its pipeline depend on.

    It is an int, so that any dataset takes it; :class:`TwoTaskDataset` seeds by it.
    """

    key: tuple[int, ...]  #: seed of the sampler, process, number of the sample from the first drawn


class SeededIndices(Sampler):
    """Mixin of a sampler with ``seed`` and ``rank``: it yields seeded indices.

    A pipeline then draws the same for a sample in whichever process it runs, and after a training
    was broken off and resumed.
    """

    seed: int
    rank: int
    start = 0  #: number of the first sample

    def __iter__(self) -> Iterator[SeededIndex]:
        for number, index in enumerate(super().__iter__(), self.start):
            seeded = SeededIndex(index)
            seeded.key = (self.seed, self.rank, number)
            yield seeded
