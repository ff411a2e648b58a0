"""How large an input may be: one budget for every format, checked before anything is decoded.

It stands in the environment, so that the workers of data loaders and of cohorts, whoever starts
them, keep to the same one.
"""

import math
import os
from os import PathLike
from typing import NamedTuple

SLICE_PIXELS, MIB = 'MMCOVID_MAX_SLICE_PIXELS', 'MMCOVID_MAX_MIB'
#: 4096 x 4096; scanners give 2048 x 2048 at most. And 1,200 slices of 512 x 512 at 16 bits, or 300
#: at 64: with them, reading stays below 1.5 GB.
DEFAULTS = {SLICE_PIXELS: 2**24, MIB: 600}
#: Of the numbers in which voxels are kept.
_LEAST_ITEMSIZE = 2


class BudgetError(ValueError):
    """An input is beyond the budget; the message names it and the option."""


class Budget(NamedTuple):
    """What an input may be."""

    slice_pixels: int  #: pixels of a slice
    mib: int  #: of all voxels, decoded

    @property
    def slice_bytes(self) -> int:
        """Of the file of one slice, a picture or DICOM, and of what that inflates to."""
        return 8 * self.slice_pixels


def read_budget() -> Budget:
    """The budget of this process: the defaults, or what its environment says.

    Raises:
        ValueError: That is no whole number above 0.
    """
    numbers = []
    for variable, default in DEFAULTS.items():
        text = os.environ.get(variable, str(default))
        if not (text.isdecimal() and int(text) > 0):
            raise ValueError(f'{variable}={text}: give a whole number above 0, or unset it.')
        numbers.append(int(text))
    return Budget(*numbers)


def set_budget(slice_pixels: int | None = None, mib: int | None = None) -> None:
    """Set the budget of this process and of those that it starts; None leaves a limit as it is."""
    for variable, value in ((SLICE_PIXELS, slice_pixels), (MIB, mib)):
        if value is not None:
            os.environ[variable] = str(value)


def check_size(
    path: str | PathLike, height: int, width: int, slices: int = 1, itemsize: int = 1
) -> None:
    """Refuse what its header says to be empty or beyond the budget.

    Args:
        path (str | PathLike): For the message.
        height (int): Of a slice.
        width (int): Of a slice.
        slices (int): Defaults to 1.
        itemsize (int): Bytes of a voxel in the file. They are kept in two at least. Defaults to 1.

    Raises:
        BudgetError: It is too large, with the path in the message.
        ValueError: It is empty.
    """
    if min(height, width, slices) < 1:
        raise ValueError(
            f'{path}: is empty, {slices} slice(s) of {width} x {height} pixels. Export it again.'
        )
    budget = read_budget()
    if height * width > budget.slice_pixels:
        raise _beyond(
            f'{path}: {slices} slice(s) of {width} x {height} pixels, above the limit of '
            f'{budget.slice_pixels} a slice. Nothing was decoded.',
            SLICE_PIXELS,
        )
    mib = math.ceil(height * width * slices * max(itemsize, _LEAST_ITEMSIZE) / 2**20)
    if mib > budget.mib:
        raise _beyond(
            f'{path}: {slices} slice(s) of {width} x {height} pixels are {mib} MiB, above the '
            f'limit of {budget.mib}. Nothing was decoded.',
            MIB,
        )


def check_slice_bytes(path: str | PathLike, size: int, what: str) -> None:
    """Refuse the file of one slice if it, or what it holds, has more bytes than a slice can have.

    Args:
        path (str | PathLike): For the message.
        size (int): In bytes.
        what (str): What has this size, for the message.

    Raises:
        BudgetError: It has.
    """
    limit = read_budget().slice_bytes
    if size > limit:
        raise _beyond(
            f'{path}: {what} is above the limit of {limit / 2**20:.0f} MiB for one slice. Nothing '
            'more was decoded.',
            SLICE_PIXELS,
        )


def check_scan_bytes(path: str | PathLike, size: int) -> None:
    """Refuse files of one scan that have more bytes than all its voxels can have.

    Args:
        path (str | PathLike): For the message.
        size (int): Of the files, in bytes.

    Raises:
        BudgetError: They have.
    """
    mib = read_budget().mib
    if size > mib * 2**20:
        raise _beyond(f'{path}: its files are above the limit of {mib} MiB.', MIB)


def _beyond(what: str, variable: str) -> BudgetError:
    option = variable.removeprefix('MMCOVID_').lower().replace('_', '-')
    return BudgetError(
        f'{what} Take it out, cut it or, if you trust it, raise the limit: --{option}, or '
        f'{variable} in the environment.'
    )
