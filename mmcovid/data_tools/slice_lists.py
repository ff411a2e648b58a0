"""Lists of slices with their classes: read them, as text or as JSON, and draw from them."""

import json
import os
import random
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .slice_names import UNKNOWN, parse_slice_name


class SliceEntry(NamedTuple):
    """One slice of a list."""

    name: str  #: file name, as in the list
    label: int
    patient: str = UNKNOWN
    scan: str = UNKNOWN
    box: tuple[int, int, int, int] | None = None  #: xmin, ymin, xmax, ymax of the body, pixels
    place: str = ''  #: file and line, for messages


def read_slices(file: str, classes: Sequence[str]) -> list[SliceEntry]:
    """Read one list.

    Args:
        file (str): JSON of the converters (by its suffix), or text with lines
            of ``filename class [xmin ymin xmax ymax]``, as COVIDx-CT has them.
            Where the name begins with the class as a number, as in the lists
            of the paper's author, it may stand alone.
        classes (Sequence[str]): Names of the classes.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file or a line cannot be read, or the JSON has other
            classes.
    """
    if not os.path.isfile(file):
        raise FileNotFoundError(
            f'{file}: no such list of slices. Correct the path (`ann_file`); without a list a '
            'SliceDataset reads the classes off the file names.'
        )
    try:
        with open(file, encoding='utf-8-sig') as lines:
            if file.endswith('.json'):
                return _read_json(json.load(lines), file, classes)
            return [
                parse_line(line, f'{file}, line {number}', len(classes))
                for number, line in enumerate(lines, 1)
                if line.strip()
            ]
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(
            f'{file}: not a list of slices ({error}). Copy or convert it again.'
        ) from error


def check_unique(entries: Iterable[SliceEntry]) -> None:
    """Make sure that no slice is listed twice.

    Raises:
        ValueError: One is.
    """
    seen: dict[str, str] = {}
    for each in entries:
        if each.name in seen:
            raise ValueError(
                f'{each.place}: {each.name} was already listed in {seen[each.name]}. Remove one '
                'of the two lines.'
            )
        seen[each.name] = each.place


def sample_balanced(
    entries: Sequence[SliceEntry], per_class: int, seed: int = 0
) -> list[SliceEntry]:
    """Draw as many slices of each class, from as many patients as there are.

    One slice of each patient is drawn before a second one of any, so that the
    patients of a class differ by one slice at most, unless they have no more.
    A slice of an unknown patient counts as a patient of its own.

    Args:
        entries (Sequence[SliceEntry]): Slices to draw from.
        per_class (int): Slices of each class that is there.
        seed (int): Seed of the draw.

    Returns:
        list[SliceEntry]: Those drawn, in the order they had.

    Raises:
        ValueError: A class has too few slices.
    """
    chosen: set[SliceEntry] = set()
    for label in sorted({each.label for each in entries}):
        rng = random.Random(seed)
        patients: dict[str | tuple[str], list[SliceEntry]] = {}
        for each in entries:
            if each.label == label:
                key = each.name if each.patient == UNKNOWN else (each.patient,)
                patients.setdefault(key, []).append(each)
        available = sum(map(len, patients.values()))
        if not 0 < per_class <= available:
            raise ValueError(
                f'{per_class} slices of class {label} cannot be drawn: there are {available}. '
                'Give another --per-class (in a config `per_class`).'
            )
        groups = list(patients.values())
        rng.shuffle(groups)
        for group in patients.values():
            rng.shuffle(group)
        rounds = (
            group[turn]
            for turn in range(max(map(len, groups)))
            for group in groups
            if turn < len(group)
        )
        chosen.update(each for each, _ in zip(rounds, range(per_class)))
    return [each for each in entries if each in chosen]


def entry_of(name: str, label: int, box: Sequence[int] = (), place: str = '') -> SliceEntry:
    """An entry with what the file name tells of patient and scan."""
    parts, body = parse_slice_name(name), None
    if box:
        left, top, right, bottom = box
        body = left, top, right, bottom
    return SliceEntry(name, label, parts.patient_id, parts.scan_id, body, place)


def parse_line(line: str, place: str, num_classes: int) -> SliceEntry:
    """Read one line of a text list.

    Raises:
        ValueError: It is malformed; the message begins with ``place``.
    """
    name, *numbers = line.split()
    if not numbers and name[0].isdecimal():
        numbers = [str(parse_slice_name(name).label)]
    try:
        label, *box = map(int, numbers)
        if not 0 <= label < num_classes or len(box) not in (0, 4):
            raise ValueError
    except (TypeError, ValueError):
        raise ValueError(
            f'{place}: {line.strip()!r} is not "filename class [xmin ymin xmax ymax]" with a '
            f'class from 0 to {num_classes - 1} and whole numbers. Correct the line.'
        ) from None
    return entry_of(name, label, box, place)


def _read_json(content: dict, file: str, classes: Sequence[str]) -> list[SliceEntry]:
    try:
        found = tuple(content['metainfo']['classes'])
        entries = [
            SliceEntry(
                str(each['img_path']),
                int(each['gt_label']),
                str(each['patient_id']),
                str(each['scan_id']),
                tuple(each['box']) if each.get('box') else None,
                f'{file}, entry {number}',
            )
            for number, each in enumerate(content['data_list'], 1)
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f'{file}: not written by mmcovid convert covidx-ct or ictcf.py '
            f'({type(error).__name__}: {error}). Convert the set again.'
        ) from error
    if found != tuple(classes):
        raise ValueError(
            f'{file}: its classes {list(found)} are not the classes {list(classes)} in this '
            'order. Convert the set again, or set `metainfo=dict(classes=...)`.'
        )
    strange = [each.place for each in entries if not 0 <= each.label < len(classes)]
    if strange:
        raise ValueError(
            f'{strange[0]}: its class is none of 0 to {len(classes) - 1}. Convert the set again.'
        )
    return entries
