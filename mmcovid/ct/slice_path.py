"""Slices of volumes by name: ``scan.nrrd#012`` is the thirteenth slice of ``scan.nrrd``."""

import os
import re
from os import fspath
from typing import NamedTuple

from .volume import volume_suffix


class SlicePath(NamedTuple):
    """A volume or one of its slices, written ``path[#series UID][#index]``.

    Slices count from 0, from the feet to the head. A file that has such a name itself is meant
    first.

    >>> SlicePath.parse('scan.nrrd#012')
    SlicePath(path='scan.nrrd', series_uid=None, index=12)
    """

    path: str
    series_uid: str | None = None
    # instead of the tuple's own method, which nobody needs here
    index: int | None = None  # type: ignore[assignment]

    @classmethod
    def parse(cls, text: str | os.PathLike) -> 'SlicePath':
        """Take a name apart."""
        text = fspath(text)
        match = re.fullmatch(r'(.+?)(?:#(\d+(?:\.\d+)+))?(?:#(\d+))?', text, re.DOTALL)
        if '#' not in text or os.path.exists(text) or not match:
            return cls(_without_slash(text))
        index = None if match[3] is None else int(match[3])
        return cls(_without_slash(match[1]), match[2], index)

    def __str__(self) -> str:
        uid = f'#{self.series_uid}' if self.series_uid else ''
        return self.path + uid + ('' if self.index is None else f'#{self.index:03d}')

    def as_file(self) -> str:
        """A name with which files about the slice can be called: ``scan_012.nrrd``."""
        if self.index is None:
            return self.path
        suffix = volume_suffix(self.path)
        stem = self.path[: len(self.path) - len(suffix)]
        uid = f'_{self.series_uid}' if self.series_uid else ''
        last = (suffix or '.dcm').rsplit('.', 1)[1]
        return f'{stem}{uid}_{self.index:03d}.{last}'

    def exists(self) -> bool:
        """Whether there is such a file or folder."""
        return os.path.exists(self.path)


def _without_slash(path: str) -> str:
    """A folder by its own name, ``series`` for ``series/``."""
    return path.rstrip('/') or path
