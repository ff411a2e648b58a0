"""From the lesion set's folders of images and masks to COCO JSON.

Layout of the CNCB-NCOV lesion set as published: ``ROOT/image/<patient>/<n>.jpg``
and ``ROOT/mask/<patient>/<n>.png``, where a mask's pixels are 0 background,
1 lung, 2 ground-glass opacity (GGO), 3 consolidation.
"""
import os
import random
import re
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image
from pycocotools import mask as rle
from rich.progress import track

from mmcovid.utils.files import write_json

from .files import name_some

#: Mask values that make up each class; the order gives the category ids, 1, 2, ...
CLASS_VALUES = {'lung': (1, ), 'ggo': (2, ), 'consolidation': (3, )}
MERGED_CLASS_VALUES = {'lung': (1, ), 'lesion': (2, 3)}


class LesionSlice(NamedTuple):
    """One slice of the lesion set."""

    patient: str
    number: str
    image: Path
    mask: Path

    @property
    def key(self) -> str:
        return f'{self.patient}/{self.number}'


class SplitTotals(NamedTuple):
    """What went into one JSON."""

    slices: int
    patients: int
    without_lesion: int
    instances: dict  #: number per class
    too_small: dict  #: components left out for their size, per class


def list_lesion_slices(root: str | Path) -> list[LesionSlice]:
    """Pair the images under ``root`` with their masks, in natural order.

    Raises:
        FileNotFoundError: There are no images, or one of a pair is missing.
        ValueError: Two images are of one slice.
    """
    root = Path(root)
    images = _files_by_slice(root / 'image', ('.jpg', '.jpeg', '.png'))
    masks = _files_by_slice(root / 'mask', ('.png', ))
    if not images:
        raise FileNotFoundError(
            f'{root}: no images of the form image/<patient>/<n>.jpg. Give the folder that holds '
            'image/ and mask/.')
    for name, have, lack in (('images without a mask', images, masks),
                             ('masks without an image', masks, images)):
        alone = sorted(have.keys() - lack.keys(), key=_natural)
        if alone:
            raise FileNotFoundError(
                f'{root}: {name}, {name_some(alone)}. Complete the copy, or remove them.')
    return [
        LesionSlice(*key.split('/'), images[key], masks[key])
        for key in sorted(images, key=_natural)
    ]


def read_split(file: str | Path, slices: Sequence[LesionSlice]) -> list[LesionSlice]:
    """Pick the slices that a text file lists, one per line.

    Args:
        file (str or Path): Lines ``<patient>/<n>.jpg`` or, as in the lists of
            the paper's author, ``<patient>_<n>.jpg``; blank lines are ignored.
        slices (Sequence[LesionSlice]): All slices there are.

    Raises:
        FileNotFoundError: The list, or a slice that it names, is not there.
        ValueError: A slice is named twice, or none at all.
    """
    file = Path(file)
    if not file.is_file():
        raise FileNotFoundError(f'{file}: no such split file. Correct the path.')
    by_name = {f'{each.patient}{mark}{each.number}': each for each in slices for mark in '_/'}
    lines = [line.strip() for line in file.read_text(encoding='utf-8').splitlines()]
    names = [line for line in lines if line]
    found = [by_name.get(os.path.splitext(name)[0]) for name in names]
    missing = [name for name, each in zip(names, found) if each is None]
    if missing:
        raise FileNotFoundError(
            f'{file}: listed slices that are not in the set, {name_some(missing)}. Lines must '
            'read <patient>_<n>.jpg or <patient>/<n>.jpg.')
    twice = [each.key for each, count in Counter(found).items() if count > 1]
    if twice:
        raise ValueError(f'{file}: slices listed twice, {name_some(twice)}. Remove the repeats.')
    if not found:
        raise ValueError(f'{file}: lists no slice.')
    return found


def random_split(slices: Sequence[LesionSlice], val_fraction: float,
                 seed: int) -> dict[str, list[LesionSlice]]:
    """Split by patient into ``lesions_train`` and ``lesions_val``.

    Args:
        slices (Sequence[LesionSlice]): All slices.
        val_fraction (float): Share of the patients that goes to validation.
        seed (int): Seed of the draw.

    Raises:
        ValueError: One side would be empty.
    """
    patients = sorted({each.patient for each in slices}, key=_natural)
    num_val = round(val_fraction * len(patients))
    if not 0 < num_val < len(patients):
        raise ValueError(
            f'a validation fraction of {val_fraction} of {len(patients)} patients leaves one side '
            'of the split empty. Choose another, or convert without a split.')
    held_out = set(random.Random(seed).sample(patients, num_val))
    return {
        'lesions_train': [each for each in slices if each.patient not in held_out],
        'lesions_val': [each for each in slices if each.patient in held_out],
    }


def check_patients_apart(splits: Mapping[str, Sequence[LesionSlice]],
                         only_warn: bool = False) -> None:
    """Make sure that no patient is in two splits.

    Raises:
        ValueError: One is, and ``only_warn`` is not set.
    """
    places = {}
    for name, members in splits.items():
        for each in members:
            places.setdefault(each.patient, {})[name] = True
    shared = [f'{patient} ({" and ".join(names)})' for patient, names in places.items()
              if len(names) > 1]
    if shared:
        message = f'patients in more than one split, {name_some(shared)}.'
        if not only_warn:
            raise ValueError(
                f'{message} Results on such splits are too good; split by patient, or pass '
                '--allow-patient-overlap.')
        warnings.warn(message, stacklevel=2)


def find_instances(mask: np.ndarray, class_values: Mapping[str, Sequence[int]] = CLASS_VALUES,
                   min_area: int = 100) -> tuple[list[dict], Counter]:
    """Cut a mask into instances: 8-neighbour components of each class.

    The class is that of the pixel value itself, whichever other values the
    mask has.

    Args:
        mask (np.ndarray): (H, W), values 0 to 3.
        class_values (Mapping): Mask values of each class.
        min_area (int): Components of at most so many pixels are left out.

    Returns:
        tuple: COCO annotations (``category_id``, ``bbox`` as x, y, width and
        height, ``area`` in pixels, ``segmentation`` as RLE, ``iscrowd``)
        without ids, and the number of components left out per class.
    """
    annotations, too_small = [], Counter()
    for category_id, (name, values) in enumerate(class_values.items(), 1):
        where = np.isin(mask, values).astype(np.uint8)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(where, connectivity=8)
        for label, (*bbox, area) in enumerate(stats.tolist()[1:], 1):
            if area <= min_area:
                too_small[name] += 1
                continue
            code = rle.encode(np.asfortranarray(labels == label, dtype=np.uint8))
            annotations.append(
                dict(
                    category_id=category_id,
                    bbox=bbox,
                    area=area,
                    segmentation=dict(size=code['size'], counts=code['counts'].decode()),
                    iscrowd=0))
    return annotations, too_small


def write_lesion_annotations(out_dir: str | Path,
                             splits: Mapping[str, Sequence[LesionSlice]],
                             min_area: int = 100,
                             merge_lesions: bool = False,
                             show_progress: bool = True) -> dict[str, SplitTotals]:
    """Write one COCO JSON per split, all or none.

    The same input gives the same bytes.

    Args:
        out_dir (str or Path): Where to write ``<split>.json``.
        splits (Mapping[str, Sequence[LesionSlice]]): Slices per split.
        min_area (int): See :func:`find_instances`.
        merge_lesions (bool): One class ``lesion`` of GGO and consolidation.
        show_progress (bool): Show a progress bar.

    Returns:
        dict[str, SplitTotals]: What went into each JSON.

    Raises:
        ValueError: Masks cannot be read, differ from their image in size, or
            have values other than 0 to 3; all such files are counted.
    """
    class_values = MERGED_CLASS_VALUES if merge_lesions else CLASS_VALUES
    # numbered over all splits, so that an id means the same slice in every JSON
    ids = {each: number for number, each in enumerate(_all_slices(splits), 1)}
    entries, problems = {}, []
    for each in track(ids, description='masks', disable=not show_progress):
        try:
            width, height, mask = _read_pair(each)
        except (OSError, ValueError) as error:
            problems.append(f'{each.mask}: {error}')
            continue
        image = dict(
            id=ids[each],
            file_name=f'{each.patient}/{each.image.name}',
            width=width,
            height=height,
            patient_id=each.patient)
        entries[each] = (image, *find_instances(mask, class_values, min_area))
    if problems:
        raise ValueError(
            f'masks that cannot be used, {name_some(problems)}. Replace them by the published '
            'masks (one channel, size of the image; 0 background, 1 lung, 2 GGO, '
            '3 consolidation).')

    totals, contents = {}, {}
    for name, members in splits.items():
        contents[name], totals[name] = _assemble([entries[each] for each in members],
                                                 class_values, min_area)
    for name, coco in contents.items():
        write_json(coco, Path(out_dir) / f'{name}.json', indent=None)
    return totals


def format_totals(totals: Mapping[str, SplitTotals]) -> str:
    """Lay totals out as lines to print."""
    lines = []
    for name, total in totals.items():
        instances = ', '.join(f'{count} {cls}' for cls, count in total.instances.items())
        small = ', '.join(f'{count} {cls}' for cls, count in total.too_small.items())
        lines += [
            f'{name}: {total.slices} slices of {total.patients} patients, '
            f'{total.without_lesion} without a lesion',
            f'  instances: {instances}', f'  left out as too small: {small}'
        ]
    return '\n'.join(lines)


def _assemble(entries: Sequence[tuple], class_values: Mapping,
              min_area: int) -> tuple[dict, SplitTotals]:
    """Make a COCO dict and its totals of (image, annotations, too small)."""
    names = list(class_values)
    annotations, too_small = [], Counter(dict.fromkeys(names, 0))
    instances = Counter(dict.fromkeys(names, 0))
    without_lesion = 0
    for image, found, small in entries:
        for annotation in found:
            annotations.append(
                dict(id=len(annotations) + 1, image_id=image['id'], **annotation))
            instances[names[annotation['category_id'] - 1]] += 1
        without_lesion += all(annotation['category_id'] == 1 for annotation in found)
        too_small.update(small)
    coco = dict(
        info=dict(description='CT lesions by mmcovid', min_area=min_area),
        categories=[dict(id=number, name=name) for number, name in enumerate(names, 1)],
        images=[image for image, _, _ in entries],
        annotations=annotations)
    patients = {image['patient_id'] for image in coco['images']}
    return coco, SplitTotals(
        len(entries), len(patients), without_lesion, dict(instances), dict(too_small))


def _read_pair(each: LesionSlice) -> tuple[int, int, np.ndarray]:
    """Width and height of the image, and its mask."""
    with Image.open(each.image) as image:
        size = image.size
    with Image.open(each.mask) as image:
        mask = np.array(image)  # a palette image gives its indices
    if mask.shape != size[::-1]:
        raise ValueError(f'is of shape {mask.shape}, its image of {size[::-1]}')
    strange = sorted(set(np.unique(mask).tolist()) - {0, 1, 2, 3})
    if strange:
        raise ValueError(f'has the values {strange[:10]}')
    return *size, mask


def _files_by_slice(folder: Path, suffixes: Sequence[str]) -> dict[str, Path]:
    """Files ``folder/<patient>/<n>.<suffix>`` by ``<patient>/<n>``."""
    files = {}
    for path in sorted(folder.glob('*/*')):
        if path.suffix.lower() in suffixes:
            key = f'{path.parent.name}/{path.stem}'
            if key in files:
                raise ValueError(f'{files[key]} and {path} are of one slice. Remove one.')
            files[key] = path
    return files


def _all_slices(splits: Mapping[str, Sequence[LesionSlice]]) -> list[LesionSlice]:
    """Slices of all splits, each once, in natural order."""
    return sorted({each for members in splits.values() for each in members},
                  key=lambda each: _natural(each.key))


def _natural(text: str) -> list:
    """Sort key that puts 9 before 10."""
    return [(int(part), '') if part.isdecimal() else (-1, part)
            for part in re.split(r'(\d+)', text)]
