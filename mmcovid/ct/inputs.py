"""What an input is, and names for what is written about it."""
import os
from collections.abc import Sequence
from pathlib import Path

from mmcovid.utils.log import log

from .slices import SlicePath, is_ct, list_slices
from .volume import volume_suffix

#: Suffixes of pictures, those that MMDetection takes.
PICTURE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.ppm', '.bmp', '.pgm', '.tif', '.tiff', '.webp')


def is_picture(path: str | os.PathLike) -> bool:
    """Whether a file is named as a picture is."""
    return Path(path).suffix.lower() in PICTURE_SUFFIXES


def slices_of(item: str) -> list[str]:
    """The slices of a volume, or the item itself: a picture, a slice, or what cannot be read."""
    if SlicePath.parse(item).index is None and is_ct(item):
        try:
            return list_slices(item)
        except (OSError, ValueError):
            pass  # noted as an error when it is loaded
    return [item]


def images_in(folder: str) -> list[str]:
    """Images and volumes directly in a folder; what else it holds is counted in the log."""
    entries = sorted(
        entry for entry in Path(folder).iterdir() if not entry.name.startswith('.'))
    images = [
        str(entry) for entry in entries
        if entry.is_file() and (is_picture(entry) or volume_suffix(entry))]
    if not images:
        raise FileNotFoundError(
            f'{folder} holds no image file ({", ".join(PICTURE_SUFFIXES)}), no volume and no DICOM '
            'file; sub-folders are not searched: give a list of folders')
    if len(images) < len(entries):
        log(
            f'{folder}: {len(images)} images or volumes; {len(entries) - len(images)} other files '
            'and sub-folders are left out.')
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
    root = os.path.dirname(os.path.commonprefix(
        [os.path.dirname(path) + os.sep for path in whole.values()])) if distinct else ''
    below = {path: os.path.relpath(whole[path], root) for path in distinct}
    for names in ({path: Path(path).stem for path in distinct},
                  {path: os.path.splitext(below[path])[0] for path in distinct}):
        if len(set(names.values())) == len(distinct):
            return names
    return below
