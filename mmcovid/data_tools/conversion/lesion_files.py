"""The files of the lesion set, in pairs and splits.

Layouts of the CNCB-NCOV lesion set: as published, ``ROOT/image/<patient>/<n>.jpg``
and ``ROOT/mask/<patient>/<n>.png``, or flat, as the paper's author has it,
``ROOT/image/<patient>_<n>.jpg`` and ``ROOT/mask/<patient>_<n>.png``.
"""

import random
import re
import warnings
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mmcovid.utils.files import name_some

from .splits import pick_listed

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png')


class LesionSlice(NamedTuple):
    """One slice of the lesion set."""

    patient: str
    number: str
    image: Path
    mask: Path

    @property
    def key(self) -> str:
        return f'{self.patient}/{self.number}'


def list_lesion_slices(root: str | Path) -> list[LesionSlice]:
    """Pair the images under ``root`` with their masks, in natural order.

    Raises:
        FileNotFoundError: There are no images, or one of a pair is missing.
        ValueError: Two images are of one slice, or a name tells no patient.
    """
    slices, lonely = pair_lesion_files(root)
    check_pairs(root, lonely)
    return slices


def pair_lesion_files(root: str | Path) -> tuple[list[LesionSlice], dict[str, list[str]]]:
    """Pair images and masks under ``root`` by patient and number.

    Returns:
        tuple: The pairs in natural order, and the keys of the files whose
        counterpart is missing, by what is the matter with them.

    Raises:
        FileNotFoundError: There are no images.
        ValueError: Two images are of one slice, or a name tells no patient.
    """
    root = Path(root)
    images = _files_by_slice(root / 'image', IMAGE_SUFFIXES)
    masks = _files_by_slice(root / 'mask', ('.png',))
    if not images:
        raise FileNotFoundError(
            f'{root}: no images of the form image/<patient>/<n>.jpg or image/<patient>_<n>.jpg. '
            'Give the folder that holds image/ and mask/.'
        )
    lonely = {
        'images without a mask': sorted(images.keys() - masks.keys(), key=natural),
        'masks without an image': sorted(masks.keys() - images.keys(), key=natural),
    }
    slices = [
        LesionSlice(patient, number, images[key], masks[key])
        for key in sorted(images.keys() & masks.keys(), key=natural)
        for patient, number in [key.split('/')]
    ]
    return slices, lonely


def check_pairs(
    root: str | Path, lonely: Mapping[str, Sequence[str]], only_warn: bool = False
) -> None:
    """Make sure that no image or mask is without its counterpart.

    Raises:
        FileNotFoundError: One is, and ``only_warn`` is not set.
    """
    for name, keys in lonely.items():
        if keys:
            message = f'{root}: {name}, {name_some(keys)}.'
            if not only_warn:
                raise FileNotFoundError(
                    f'{message} Complete the copy, remove them, or pass --skip-missing.'
                )
            warnings.warn(f'{message} They are left out.', stacklevel=2)


def read_split(
    file: str | Path, slices: Sequence[LesionSlice], passed_over: Collection[str] = ()
) -> list[LesionSlice]:
    """Pick the slices that a text file lists, one per line.

    Args:
        file (str or Path): Lines ``<patient>/<n>.jpg`` or, as in the lists of
            the paper's author, ``<patient>_<n>.jpg``; blank lines are ignored.
        slices (Sequence[LesionSlice]): All slices there are.
        passed_over (Collection[str]): Keys of slices known to be missing.

    Raises:
        FileNotFoundError: The list, or a slice that it names, is not there.
        ValueError: A slice is named twice, or none at all.
    """
    by_name = {f'{each.patient}{mark}{each.number}': each for each in slices for mark in '_/'}
    return pick_listed(
        file,
        by_name,
        '<patient>_<n>.jpg or <patient>/<n>.jpg',
        {key.replace('/', mark) for key in passed_over for mark in '_/'},
    )


def random_split(
    slices: Sequence[LesionSlice],
    val_fraction: float,
    seed: int,
    names: tuple[str, str] = ('lesions_train', 'lesions_val'),
) -> dict[str, list[LesionSlice]]:
    """Split by patient in two.

    Args:
        slices (Sequence[LesionSlice]): All slices.
        val_fraction (float): Share of the patients that goes to the second split.
        seed (int): Seed of the draw.
        names (tuple[str, str]): Names of the splits.

    Raises:
        ValueError: One side would be empty.
    """
    patients = sorted({each.patient for each in slices}, key=natural)
    num_val = round(val_fraction * len(patients))
    if not 0 < num_val < len(patients):
        raise ValueError(
            f'a validation fraction of {val_fraction} of {len(patients)} patients leaves one side '
            'of the split empty. Choose another, or convert without a split.'
        )
    held_out = set(random.Random(seed).sample(patients, num_val))
    train, val = names
    return {
        train: [each for each in slices if each.patient not in held_out],
        val: [each for each in slices if each.patient in held_out],
    }


def natural(text: str) -> list:
    """Sort key that puts 9 before 10."""
    return [
        (int(part), '') if part.isdecimal() else (-1, part) for part in re.split(r'(\d+)', text)
    ]


def _files_by_slice(folder: Path, suffixes: Sequence[str]) -> dict[str, Path]:
    """Files of both layouts by ``<patient>/<n>``."""
    files: dict[str, Path] = {}
    nameless = []
    for path in sorted([*folder.glob('*'), *folder.glob('*/*')]):
        if path.suffix.lower() not in suffixes or path.name.startswith('.'):
            continue
        if path.parent == folder:
            patient, _, number = path.stem.rpartition('_')
        else:
            patient, number = path.parent.name, path.stem
        if not patient or not number:
            nameless.append(path.name)
            continue
        key = f'{patient}/{number}'
        if key in files:
            raise ValueError(f'{files[key]} and {path} are of one slice. Remove one.')
        files[key] = path
    if nameless:
        raise ValueError(
            f'{folder}: file names that tell no patient, {name_some(nameless)}. Name them '
            '<patient>_<n>, or put them into a folder of the patient.'
        )
    return files
