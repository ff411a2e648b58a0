"""Lists of slices: find their images, write them as the paper's author does."""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path

from mmcovid.classes import IMAGE_CLASSES
from mmcovid.data_tools.image_files import find_missing
from mmcovid.data_tools.slice_lists import SliceEntry, check_unique, read_slices
from mmcovid.data_tools.slice_names import other_spelling, slice_source
from mmcovid.utils.files import name_some, write_text

from .splits import name_splits


def read_slice_splits(
    lists: Sequence[str | Path], images: str | Path, skip_missing: bool = False
) -> tuple[dict[str, list[SliceEntry]], list[str]]:
    """Read lists and find their images.

    The author's lists can be used with the images of COVIDx-CT and the other
    way round: ``2_96_1328_0035.png`` stands for ``NCP_96_1328_0035.png``.

    Args:
        lists (Sequence[str or Path]): List files, see
            :func:`~mmcovid.data_tools.slice_lists.read_slices`, or ``NAME=FILE``.
        images (str or Path): Folder of the images.
        skip_missing (bool): Warn of missing images instead of raising.

    Returns:
        tuple: Slices per list, by the names of their images, and the names
        whose images are missing.

    Raises:
        FileNotFoundError: A list or an image is missing.
        ValueError: A list cannot be read, names a slice again or is empty.
    """
    files = name_splits(lists)
    listed = {name: read_slices(str(file), IMAGE_CLASSES) for name, file in files.items()}
    entries = [each for members in listed.values() for each in members]
    check_unique(entries)
    spellings = {
        each: [name for name in (each.name, other_spelling(each.name)) if name] for each in entries
    }
    path_of = {name: os.path.join(images, name) for names in spellings.values() for name in names}
    absent = set(find_missing(list(path_of.values())))
    found = {
        each: each._replace(name=name)
        for each, names in spellings.items()
        for name in reversed(names)
        if path_of[name] not in absent
    }
    missing = [each.name for each in entries if each not in found]
    if missing:
        message = f'{images}: missing images, {name_some(missing)}.'
        if not skip_missing:
            raise FileNotFoundError(
                f'{message} Correct --images, complete the copy, or pass --skip-missing.'
            )
        warnings.warn(f'{message} They are left out.', stacklevel=2)
    splits = {
        name: [found[each] for each in members if each in found] for name, members in listed.items()
    }
    for name, file in files.items():
        if not splits[name]:
            raise ValueError(f'{file}: lists no slice.')
    check_unique(each for members in splits.values() for each in members)
    return splits, missing


def write_author_list(entries: Sequence[SliceEntry], file: str | Path) -> None:
    """Write a list as the paper's author has them, ``<class>_<patient>_<scan>_<slice>.png`` a line.

    Raises:
        ValueError: Slices are not from CNCB, whose names alone have these parts.
    """
    nameless = [each.name for each in entries if slice_source(each.name) != 'CNCB']
    if nameless:
        raise ValueError(
            f"{file}: names that cannot be spelt as the author's, {name_some(nameless)}. He "
            'used slices of COVIDx-CT 1 only; leave --author-list out.'
        )
    write_text(
        ''.join(f'{each.label}_{Path(each.name).name.partition("_")[2]}\n' for each in entries),
        file,
    )
