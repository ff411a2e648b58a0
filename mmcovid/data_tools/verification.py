"""Look at every file of a set before a model does."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from terminaltables import AsciiTable

from mmcovid.classes import IMAGE_CLASSES
from mmcovid.ct import check_picture, find_slice, is_ct, list_slices
from mmcovid.utils.files import sha256, write_json, write_text
from mmcovid.utils.parallel import map_files

from .annotation_checks import (
    ANNOTATION_ERRORS,
    ANNOTATION_WARNINGS,
    AnnotationProblem,
    check_lesions,
    check_slices,
    read_json_object,
)
from .conversion import count_slices, read_card, read_mask
from .slice_lists import SliceEntry, read_slices

#: What a problem can be, and what it means. Warnings spoil no run.
ERRORS = {
    'missing': 'there is no such file',
    'empty': 'the file has no bytes',
    'unreadable': 'no image, of a kind or size that is not read, or a CT that cannot be used',
    'truncated': 'an image that ends too early or is damaged',
    'wrong size': 'not of the size in the annotations',
    'constant': 'all pixels have one value',
    'missing mask': 'there is no such mask',
    'bad mask': 'the mask cannot be read, or has values other than 0 to 3',
    **ANNOTATION_ERRORS,
    'duplicate': 'the annotations name the slice again',
    'bad annotations': 'the annotations cannot be read',
    'not as converted': 'the annotations differ from the card beside them',
}
WARNINGS = {
    **ANNOTATION_WARNINGS,
    '16 bit': 'read at full depth; fine, unless other slices of the set have 8',
    'colour': 'the channels differ; the slice will be turned grey',
}


class SliceFile(NamedTuple):
    """What the annotations say of one slice."""

    name: str
    image: str
    size: tuple[int, int] | None = None  #: width and height in pixels
    mask: str | None = None


class DataProblem(NamedTuple):
    """One thing that is the matter with a set."""

    set: str
    name: str  #: of the slice, or '' for the set itself
    problem: str
    detail: str = ''


class SliceSet(NamedTuple):
    """A set of slices, as its annotations tell."""

    title: str
    slices: list[SliceFile]
    findings: list[DataProblem]


def read_set(file: str | Path, images: str | Path | None = None) -> SliceSet:
    """A set of slices by its annotation JSON or list.

    Args:
        file (str or Path): What the converters write, or a text list.
        images (str or Path, optional): Folder of the images; that which the
            JSON names by default.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It does not name the folder of the images.
    """
    file = Path(file)
    if not file.is_file():
        raise FileNotFoundError(f'{file}: no such annotations. Correct the path.')
    try:
        content = read_json_object(file) if file.suffix == '.json' else {}
    except ValueError as error:
        return broken_set(str(file), error)
    root = (content.get('info') or content.get('metainfo') or {}).get('image_root')
    if images is None and root is not None:
        images = os.path.join(file.parent, root)
    if images is None:
        raise ValueError(f'{file}: does not tell where its images are. Pass --images DIR.')
    if 'images' in content:
        return lesion_set(file, images)
    classes = (content.get('metainfo') or {}).get('classes', IMAGE_CLASSES)
    return slice_set([str(file)], str(images), classes, lambda: read_slices(str(file), classes))


def verify(
    sets: Sequence[SliceSet], workers: int = 4, show_progress: bool = True
) -> list[DataProblem]:
    """Read every file of some sets.

    Args:
        sets (Sequence[SliceSet]): From :func:`read_set`, or of a config, see
            :func:`mmcovid.datasets.of_config.slice_sets`.
        workers (int): Number of threads.
        show_progress (bool): Show a progress bar.

    Returns:
        list[DataProblem]: All that is the matter, set by set.
    """
    findings = []
    for each in sets:
        results = map_files(examine_slice, each.slices, each.title[-40:], workers, show_progress)
        findings += each.findings
        findings += [
            DataProblem(each.title, slice_.name, *problem)
            for slice_, problems in zip(each.slices, results)
            for problem in problems
        ]
    return findings


def examine_slice(entry: SliceFile) -> list[tuple[str, str]]:
    """Read the image of a slice, and its mask if there is one.

    Returns:
        list[tuple[str, str]]: Problems with their details; keys of
        :data:`ERRORS` and :data:`WARNINGS`.
    """
    if is_ct(entry.image) and not os.path.isdir(entry.image):
        try:
            volume, index = find_slice(entry.image)
        except FileNotFoundError:
            return [('missing', '')]
        except ValueError as error:
            return [('unreadable', str(error))]
        return _examine_pixels(volume.array[index], entry)
    try:
        if os.path.getsize(entry.image) == 0:
            return [('empty', '')]
        check_picture(entry.image)
    except FileNotFoundError:
        return [('missing', '')]
    except (OSError, ValueError) as error:
        return [('unreadable', str(error))]
    try:
        with Image.open(entry.image) as image:
            pixels = np.asarray(image)
    except Exception as error:  # damaged files fail in many ways
        return [('truncated', f'{type(error).__name__}: {error}')]
    problems = []
    if image.mode.endswith('A'):
        pixels = pixels[..., :-1]
    if image.mode.startswith('I'):
        problems.append(('16 bit', ''))
    if image.mode.startswith('RGB') and np.ptp(pixels, axis=2).any():
        problems.append(('colour', ''))
    return problems + _examine_pixels(pixels, entry)


def format_findings(sets: Sequence[SliceSet], findings: Sequence[DataProblem]) -> str:
    """A table of what was found, with the first three slices of each kind."""
    rows: list[list[str | int]] = [['set', 'slices', 'problem', 'number', 'such as']]
    for each in sets:
        own = [found for found in findings if found.set == each.title]
        numbers = Counter(found.problem for found in own)
        for problem, number in numbers.items() or {'-': 0}.items():
            some = [
                f'{found.name} {found.detail}'.strip() for found in own if found.problem == problem
            ][:3]
            rows.append([each.title, len(each.slices), problem, number, '\n'.join(some)])
    return AsciiTable(rows).table


def write_verification(
    out_dir: str | Path, sets: Sequence[SliceSet], findings: Sequence[DataProblem]
) -> None:
    """Write ``verification.json`` and ``quarantine.txt``, the skip list of both datasets."""
    out_dir = Path(out_dir)
    write_json(
        dict(
            sets={each.title: len(each.slices) for each in sets},
            errors=sum(found.problem in ERRORS for found in findings),
            findings=[found._asdict() for found in findings],
        ),
        out_dir / 'verification.json',
    )
    # a slice that is listed twice would be lost with its repetition
    bad = sorted(
        {
            found.name
            for found in findings
            if found.name and found.problem in ERRORS.keys() - {'duplicate'}
        }
    )
    write_text(
        '\n'.join(['# slices to leave out: skip_list=... of both datasets', *bad, '']),
        out_dir / 'quarantine.txt',
    )


def lesion_set(file: str | Path, images: str | Path) -> SliceSet:
    """Slices of a COCO JSON, with their masks where it names them."""
    file, title, findings = Path(file), str(file), []
    try:
        coco = read_json_object(file)
        root = coco.get('info', {}).get('mask_root')
        slices = [
            SliceFile(
                each['file_name'],
                os.path.join(images, each['file_name']),
                (each['width'], each['height']),
                os.path.join(file.parent, root, each['mask_file_name'])
                if root and 'mask_file_name' in each
                else None,
            )
            for each in coco['images']
        ]
        names = [category['name'] for category in coco['categories']]
        by_id = {each['id']: each['name'] for each in coco['categories']}
        instances = Counter(dict.fromkeys(names, 0))
        instances.update(by_id[each['category_id']] for each in coco['annotations'])
        counts = dict(slices=len(slices), instances=dict(instances))
        findings += _compare_with_card(file, counts)
        findings += _of_annotations(check_lesions(coco))
    except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        return broken_set(title, error)
    return _without_repeats(title, slices, findings)


def slice_set(
    files: Sequence[str],
    images: str,
    classes: Sequence[str],
    read_entries: Callable[[], list[SliceEntry]],
) -> SliceSet:
    """Slices of lists, or of a folder.

    Args:
        files (Sequence[str]): The lists; none if the folder is one itself.
        images (str): Folder of the images.
        classes (Sequence[str]): All classes.
        read_entries (Callable): Reads the slices.
    """
    title = ', '.join(files) or images
    sizes, findings = {}, []
    try:
        entries = read_entries()
        for file in files:
            content = read_json_object(file) if file.endswith('.json') else {}
            if data_list := content.get('data_list'):
                sizes.update(
                    {each['img_path']: (each['width'], each['height']) for each in data_list}
                )
                findings += _compare_with_card(Path(file), count_slices(data_list)._asdict())
        findings += _of_annotations(check_slices(entries, classes))
    except (OSError, KeyError, TypeError, ValueError) as error:
        return broken_set(title, error)
    slices = [
        SliceFile(each.name, os.path.join(images, each.name), sizes.get(each.name))
        for each in entries
    ]
    return _without_repeats(title, slices, findings)


def volume_set(title: str, volumes: Sequence[str]) -> SliceSet:
    """All slices of CT volumes; a volume that cannot be read is a problem."""
    slices, findings = [], []
    for path in volumes:
        try:
            slices += [SliceFile(name, name) for name in list_slices(path)]
        except FileNotFoundError:
            findings.append(DataProblem(title, path, 'missing'))
        except (OSError, ValueError) as error:
            findings.append(DataProblem(title, path, 'unreadable', str(error)))
    return _without_repeats(title, slices, findings)


def broken_set(title: str, error: Exception) -> SliceSet:
    """A set whose annotations cannot be read."""
    detail = str(error) if isinstance(error, (OSError, ValueError)) else repr(error)
    return SliceSet(title, [], [DataProblem(title, '', 'bad annotations', detail)])


def _of_annotations(problems: Sequence[AnnotationProblem]) -> list[DataProblem]:
    return [DataProblem('', *problem) for problem in problems]


def _without_repeats(title: str, slices: list[SliceFile], findings: list[DataProblem]) -> SliceSet:
    numbers = Counter(each.name for each in slices)
    findings = [each._replace(set=title) for each in findings]
    findings += [
        DataProblem(title, name, 'duplicate', f'{number} times')
        for name, number in numbers.items()
        if number > 1
    ]
    return SliceSet(title, list({each.name: each for each in slices}.values()), findings)


def _compare_with_card(file: Path, counts: dict) -> list[DataProblem]:
    """What differs between annotations and the card that was written with them."""
    card = (read_card(file.parent) or {}).get('splits', {}).get(file.stem)
    if card is None or card['sha256'] == sha256(file):
        return []
    differences = [
        f'{key}: {counts[key]}, the card says {card[key]}'
        for key in counts
        if counts[key] != card[key]
    ]
    return [DataProblem('', '', 'not as converted', '; '.join(differences) or 'other bytes')]


def _examine_pixels(pixels: np.ndarray, entry: SliceFile) -> list[tuple[str, str]]:
    """Size and values of the pixels (H, W) or (H, W, C) of a slice, and its mask."""
    problems = []
    height, width = pixels.shape[:2]
    if entry.size and entry.size != (width, height):
        problems.append(('wrong size', f'{width}x{height}, not {entry.size[0]}x{entry.size[1]}'))
    if pixels.min() == pixels.max():
        problems.append(('constant', f'value {pixels.min()}'))
    return problems + (_examine_mask(entry.mask, (height, width)) if entry.mask else [])


def _examine_mask(path: str, shape: tuple[int, int]) -> list[tuple[str, str]]:
    try:
        mask = read_mask(path)
    except FileNotFoundError:
        return [('missing mask', '')]
    except Exception as error:  # damaged files fail in many ways
        return [('bad mask', f'{type(error).__name__}: {error}')]
    if mask.shape != shape:
        return [('wrong mask size', f'{mask.shape[::-1]}, image {shape[::-1]}')]
    return []
