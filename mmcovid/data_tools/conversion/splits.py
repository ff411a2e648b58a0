"""Which slices go into which split, for every kind of set."""

import os
import warnings
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmcovid.data_tools.slice_names import UNKNOWN
from mmcovid.utils.files import name_some


def pick_listed(
    file: str | Path, by_name: Mapping[str, Any], forms: str, passed_over: Collection[str] = ()
) -> list:
    """Pick the slices that a text file lists, one per line.

    Args:
        file (str or Path): Names with any suffix; blank lines are ignored.
        by_name (Mapping): Slices by each name, without suffix, that they go by.
        forms (str): How lines may read, for the error.
        passed_over (Collection[str]): Names that are no error, but not there.

    Raises:
        FileNotFoundError: The list, or a slice that it names, is not there.
        ValueError: A slice is named twice, or none at all.
    """
    file = Path(file)
    if not file.is_file():
        raise FileNotFoundError(f'{file}: no such split file. Correct the path.')
    names = [line.strip() for line in file.read_text(encoding='utf-8').splitlines()]
    stems = {name: os.path.splitext(name)[0] for name in names if name}
    names = [name for name in names if name and stems[name] not in passed_over]
    missing = [name for name in names if stems[name] not in by_name]
    if missing:
        raise FileNotFoundError(
            f'{file}: listed slices that are not in the set, {name_some(missing)}. Lines must '
            f'read {forms}.'
        )
    found = [by_name[stems[name]] for name in names]
    twice = [each.key for each, count in Counter(found).items() if count > 1]
    if twice:
        raise ValueError(f'{file}: slices listed twice, {name_some(twice)}. Remove the repeats.')
    if not found:
        raise ValueError(f'{file}: lists no slice.')
    return found


def check_patients_apart(splits: Mapping[str, Sequence], only_warn: bool = False) -> None:
    """Make sure that no patient is in two splits.

    Args:
        splits (Mapping[str, Sequence]): Slices per split, each with its
            ``patient``; unknown patients are not compared.
        only_warn (bool): Warn instead of raising.

    Raises:
        ValueError: One is, and ``only_warn`` is not set.
    """
    places: dict[str, dict[str, bool]] = {}
    for name, members in splits.items():
        for each in members:
            places.setdefault(each.patient, {})[name] = True
    places.pop(UNKNOWN, None)
    shared = [
        f'{patient} ({" and ".join(names)})' for patient, names in places.items() if len(names) > 1
    ]
    if shared:
        message = f'patients in more than one split, {name_some(shared)}.'
        if not only_warn:
            raise ValueError(
                f'{message} Results on such splits are too good; split by patient, or pass '
                '--allow-patient-overlap.'
            )
        warnings.warn(message, stacklevel=2)


def name_splits(files: Sequence[str | Path]) -> dict[str, Path]:
    """Names of the splits that list files make, with the files.

    Args:
        files (Sequence[str or Path]): Files, which name the split by their own name without
            suffix, or text ``NAME=FILE``.

    Raises:
        ValueError: Two would write the same JSON.
    """
    pairs = [file.rpartition('=')[::2] if isinstance(file, str) else ('', file) for file in files]
    names = [name or Path(file).stem for name, file in pairs]
    if len(set(names)) < len(names):
        raise ValueError(
            f'split files of one name would overwrite each other: {names}. Name '
            'them otherwise, NAME=FILE.'
        )
    return {name: Path(file) for name, (_, file) in zip(names, pairs)}
