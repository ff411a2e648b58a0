"""What an input is, and names for what is written about it."""

import os
from collections.abc import Sequence
from enum import Enum
from os import fspath
from pathlib import Path

from mmcovid.utils.log import log

from .dicom import is_dicom_file
from .slice_path import SlicePath
from .volume import volume_suffix

#: Suffixes of pictures, those that MMDetection takes.
PICTURE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.ppm', '.bmp', '.pgm', '.tif', '.tiff', '.webp')


class InputKind(Enum):
    """What an input can be."""

    PICTURE = 'picture'  #: or a file that is none of the others, and is tried as a picture
    DICOM = 'DICOM file'
    VOLUME = 'volume file'
    SERIES = 'folder of DICOM files'
    FOLDER = 'folder'  #: of pictures, volumes and folders of DICOM files
    SLICE = 'slice of a volume'


def kind_of(path: str | os.PathLike | SlicePath) -> InputKind:
    """What an input is; nothing is read of it but the first bytes of a file without suffix.

    Args:
        path (str | PathLike | SlicePath): It need not exist: volumes are told by their names.
    """
    place = path if isinstance(path, SlicePath) else SlicePath.parse(path)
    if os.path.isdir(place.path):
        if place.index is not None:
            return InputKind.SLICE
        series = place.series_uid or has_dicom(place.path)
        return InputKind.SERIES if series else InputKind.FOLDER
    if volume_suffix(place.path):
        kind = InputKind.VOLUME
    elif is_dicom_file(place.path):
        kind = InputKind.DICOM
    else:
        return InputKind.PICTURE
    return kind if place.index is None else InputKind.SLICE


def is_ct(path: str | os.PathLike) -> bool:
    """Whether a name is that of a volume, a DICOM file or folder, or a slice of one of these.

    Pictures are told by their names alone, at no cost. Any folder is taken for one of DICOM
    files, so that its reader tells what it lacks.
    """
    return kind_of(path) is not InputKind.PICTURE


def is_picture(path: str | os.PathLike) -> bool:
    """Whether a file is named as a picture is."""
    return Path(path).suffix.lower() in PICTURE_SUFFIXES


def has_dicom(folder: str | os.PathLike) -> bool:
    """Whether there is a DICOM file directly in a folder."""
    return os.path.isdir(folder) and any(map(is_dicom_file, Path(folder).iterdir()))


def find_volumes(folder: str | os.PathLike) -> list[str]:
    """Volumes of a folder: files, and sub-folders that hold DICOM files, by name."""
    return [
        fspath(path)
        for path in sorted(Path(folder).iterdir())
        if path.exists() and kind_of(path) in (InputKind.VOLUME, InputKind.SERIES)
    ]


def images_in(folder: str) -> list[str]:
    """Images and volumes directly in a folder; what else it holds is counted in the log."""
    entries = sorted(entry for entry in Path(folder).iterdir() if not entry.name.startswith('.'))
    images = [
        str(entry)
        for entry in entries
        if entry.is_file() and (is_picture(entry) or volume_suffix(entry))
    ]
    if not images:
        raise FileNotFoundError(
            f'{folder} holds no image file ({", ".join(PICTURE_SUFFIXES)}), no volume and no DICOM '
            'file; sub-folders are not searched: give a list of folders'
        )
    if len(images) < len(entries):
        log(
            f'{folder}: {len(images)} images or volumes; {len(entries) - len(images)} other files '
            'and sub-folders are left out.'
        )
    return images


def name_outputs(paths: Sequence[str]) -> dict[str, str]:
    """A name for what is written about each file, different for different files.

    Args:
        paths (Sequence[str]): Input files.

    Returns:
        dict[str, str]: For each path its base name without suffix or, where those are not
        unique, its path below the folder that all have in common, if need be with suffix.
    """
    distinct = list(dict.fromkeys(paths))
    whole = {path: os.path.abspath(path) for path in distinct}
    root = (
        os.path.dirname(
            os.path.commonprefix([os.path.dirname(path) + os.sep for path in whole.values()])
        )
        if distinct
        else ''
    )
    below = {path: os.path.relpath(whole[path], root) for path in distinct}
    for names in (
        {path: Path(path).stem for path in distinct},
        {path: os.path.splitext(below[path])[0] for path in distinct},
    ):
        if len(set(names.values())) == len(distinct):
            return names
    return below
