"""Slices of volumes by name: ``scan.nrrd#012`` is the thirteenth slice of ``scan.nrrd``."""
import logging
import os
import re
from functools import lru_cache
from os import fspath
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mmcovid.results import Failure
from mmcovid.utils.log import log

from .dicom import choose_series, is_dicom_file, read_series
from .files import open_file, read_file
from .volume import IMAGE_IO, LEVEL, WIDTH, CTVolume, apply_window, volume_suffix

#: A chest CT has air, of -1000 HU, around the patient.
_LEAST_OF_A_CT = -500


class SlicePath(NamedTuple):
    """A volume or one of its slices, written ``path[#series UID][#index]``.

    Slices count from 0, from the feet to the head. A file that has such a name itself is meant
    first.

    >>> SlicePath.parse('scan.nrrd#012')
    SlicePath(path='scan.nrrd', series_uid=None, index=12)
    """

    path: str
    series_uid: str | None = None
    index: int | None = None

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
        stem = self.path[:len(self.path) - len(suffix)]
        uid = f'_{self.series_uid}' if self.series_uid else ''
        last = (suffix or '.dcm').rsplit('.', 1)[1]
        return f'{stem}{uid}_{self.index:03d}.{last}'

    def exists(self) -> bool:
        """Whether there is such a file or folder."""
        return os.path.exists(self.path)


def _without_slash(path: str) -> str:
    """A folder by its own name, ``series`` for ``series/``."""
    return path.rstrip('/') or path


def is_ct(path: str | os.PathLike) -> bool:
    """Whether a name is that of a volume, a DICOM file or folder, or a slice of one of these.

    Pictures are told by their names alone, at no cost.
    """
    path = SlicePath.parse(path).path
    return bool(volume_suffix(path)) or os.path.isdir(path) or is_dicom_file(path)


def read_volume(path: str | os.PathLike, series_uid: str | None = None) -> CTVolume:
    """Read a CT volume, in HU.

    Args:
        path (str | PathLike): NIfTI, NRRD or MetaImage file, folder of one DICOM series, or DICOM
            file, which is a volume of one slice. ``path#UID`` names a series, too.
        series_uid (str, optional): SeriesInstanceUID, where a folder has several series. Defaults
            to None.

    Raises:
        FileNotFoundError: There is no such file, or no DICOM file in the folder.
        ValueError: It is not a CT that can be read whole. The message names file and remedy.
    """
    path, uid, index = SlicePath.parse(path)
    if index is not None:
        raise ValueError(f'{path}#{index:03d}: is one slice. Give the volume, {path}.')
    if os.path.isdir(path):
        return read_series(choose_series(path, series_uid or uid).files, path)
    if volume_suffix(path):
        return read_file(path)
    if is_dicom_file(path):
        return read_series([path], path)
    if not os.path.exists(path):
        raise FileNotFoundError(f'{path}: no such file or folder.')
    raise ValueError(f'{path}: is no CT volume. Give a DICOM file or folder, or a file that ends '
                     f'in {", ".join(IMAGE_IO)}.')


def list_slices(path: str | os.PathLike) -> list[str]:
    """The names of all slices of a volume, from the feet to the head; no pixel is read.

    Args:
        path (str | PathLike): As for :func:`read_volume`.

    Returns:
        list[str]: ``path#000``, ``path#001`` ...; ``path`` itself if it has one slice only.

    Raises:
        FileNotFoundError, ValueError: As :func:`read_volume`, as far as headers tell.
    """
    volume = SlicePath.parse(path)
    if os.path.isdir(volume.path):
        number = len(choose_series(volume.path, volume.series_uid).files)
    elif is_dicom_file(volume.path):
        return [fspath(path)]
    elif volume_suffix(volume.path):
        number = open_file(volume.path)[1]
    else:
        read_volume(path)  # raises
    return [str(volume._replace(index=i)) for i in range(number)] if number > 1 else [str(volume)]


def find_slice(path: str | os.PathLike) -> tuple[CTVolume, int]:
    """The volume that a slice belongs to, and its index; the volume last used is kept.

    Args:
        path (str | PathLike): Slice of a volume, or a volume that has one only.

    Raises:
        FileNotFoundError: There is no such volume.
        ValueError: It cannot be read, or has no such slice.
    """
    wanted = SlicePath.parse(path)
    if not wanted.exists():
        raise FileNotFoundError(f'{wanted.path}: no such file or folder.')
    stat = os.stat(wanted.path)
    volume = _keep(wanted.path, wanted.series_uid, stat.st_mtime_ns, stat.st_size)
    if isinstance(volume, Failure):
        raise ValueError(volume.reason)
    index = 0 if wanted.index is None and len(volume) == 1 else wanted.index
    if index is None or index >= len(volume):
        raise ValueError(
            f'{path}: has {len(volume)} slices. Name one, from {wanted._replace(index=0)} to '
            f'{wanted._replace(index=len(volume) - 1)}. OneShotInferencer and VolumeDataset take '
            'whole volumes.')
    return volume, index


def read_picture(path: str | os.PathLike,
                 window: tuple[float, float] = (LEVEL, WIDTH)) -> np.ndarray:
    """A slice as a picture.

    Args:
        path (str | PathLike): As for :func:`find_slice`.
        window (tuple[float, float]): Level and width, in HU. Defaults to (-600, 1500).

    Returns:
        np.ndarray: (H, W), uint8.
    """
    volume, index = find_slice(path)
    return apply_window(volume.array[index], *window)


@lru_cache(maxsize=1)
def _keep(path: str, uid: str | None, *stamp: int) -> CTVolume | Failure:
    """A volume, or why it cannot be read: that is not tried again for each slice."""
    try:
        volume = read_volume(path, uid)
    except (OSError, ValueError) as error:
        return Failure(path, str(error))
    least = volume.array.min()
    if least > _LEAST_OF_A_CT:
        log(f'{path}: its least value is {least}. A CT in Hounsfield units has air, about '
            '-1000: if these are other units, its results mean nothing.', level=logging.WARNING)
    return volume


def find_volumes(folder: str | os.PathLike) -> list[str]:
    """Volumes of a folder: files, and sub-folders that hold DICOM files, by name."""
    return [
        fspath(path) for path in sorted(Path(folder).iterdir())
        if (path.is_file() and volume_suffix(path)) or has_dicom(path)]


def has_dicom(folder: str | os.PathLike) -> bool:
    """Whether there is a DICOM file directly in a folder."""
    return os.path.isdir(folder) and any(map(is_dicom_file, Path(folder).iterdir()))
