"""Volumes and their slices, of any format."""

import logging
import os
from functools import lru_cache
from os import fspath

import numpy as np

from mmcovid.results import Failure
from mmcovid.utils.log import log

from .dicom import choose_series, read_series
from .files import open_file, read_file
from .inputs import InputKind, kind_of
from .slice_path import SlicePath
from .volume import IMAGE_IO, LEVEL, WIDTH, CTVolume, apply_window

#: A chest CT has air, of -1000 HU, around the patient.
_LEAST_OF_A_CT = -500


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
    place = SlicePath.parse(path)
    path, uid, index = place
    if index is not None:
        raise ValueError(f'{path}#{index:03d}: is one slice. Give the volume, {path}.')
    kind = kind_of(place)
    if kind in (InputKind.SERIES, InputKind.FOLDER):
        return read_series(choose_series(path, series_uid or uid).files, path)
    if kind is InputKind.VOLUME:
        return read_file(path)
    if kind is InputKind.DICOM:
        return read_series([path], path)
    if not os.path.exists(path):
        raise FileNotFoundError(f'{path}: no such file or folder.')
    raise ValueError(
        f'{path}: is no CT volume. Give a DICOM file or folder, or a file that ends '
        f'in {", ".join(IMAGE_IO)}.'
    )


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
    kind = kind_of(volume._replace(index=None))
    if kind in (InputKind.SERIES, InputKind.FOLDER):
        number = len(choose_series(volume.path, volume.series_uid).files)
    elif kind is InputKind.DICOM:
        return [fspath(path)]
    elif kind is InputKind.VOLUME:
        number = open_file(volume.path)[1]
    else:
        read_volume(path)  # raises
    return [str(volume._replace(index=i)) for i in range(number)] if number > 1 else [str(volume)]


def slices_of(item: str) -> list[str]:
    """The slices of a volume, or the item itself: a picture, a slice, or what cannot be read."""
    if kind_of(item) not in (InputKind.PICTURE, InputKind.SLICE):
        try:
            return list_slices(item)
        except (OSError, ValueError):
            pass  # noted as an error when it is loaded
    return [item]


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
            'whole volumes.'
        )
    return volume, index


def read_picture(
    path: str | os.PathLike, window: tuple[float, float] = (LEVEL, WIDTH)
) -> np.ndarray:
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
        log(
            f'{path}: its least value is {least}. A CT in Hounsfield units has air, about '
            '-1000: if these are other units, its results mean nothing.',
            level=logging.WARNING,
        )
    return volume
