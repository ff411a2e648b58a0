"""The splits that an audit compares."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mmcovid.classes import IMAGE_CLASSES
from mmcovid.data_tools.image_files import check_inside, find_missing
from mmcovid.data_tools.lesion_lists import list_images
from mmcovid.data_tools.slice_lists import check_unique, read_slices
from mmcovid.utils.files import name_some

#: Patient ids of one of these sources mean the same patients.
LESION_SET, SLICE_SET = 'seg', 'cls'


class AuditSplit(NamedTuple):
    """Slices of one annotation file, and what they are used for."""

    name: str
    roles: frozenset  #: ``{'train'}``, ``{'val', 'test'}`` ...: slices of one role may be alike
    source: str  #: patient ids of one source mean the same patients
    slices: list  #: data infos of the dataset, with ``img_path`` and ``patient_id``


def splits_of_files(files: Sequence[str], images: Sequence[str]) -> list[AuditSplit]:
    """One split per annotation file.

    Args:
        files (Sequence[str]): ``FILE`` or ``ROLE=FILE``. A file is a COCO JSON of lesions, or a
            list or a JSON of slices with their classes. Files of one role are not compared;
            without a role each has its own.
        images (Sequence[str]): The folder that the names in a file refer to, for each file, or
            one for all.

    Raises:
        FileNotFoundError: A file or an image is missing.
        ValueError: A file cannot be read, lists a slice twice, or one outside its folder.
    """
    if len(images) not in (1, len(files)):
        raise ValueError(
            f'{len(files)} annotation files with {len(images)} image folders: give '
            '--images once for all, or once for each file, in their order.'
        )
    splits = []
    for entry, folder in zip(files, list(images) * len(files) if len(images) == 1 else images):
        role, _, file = entry.rpartition('=')
        source, slices = _read(file, folder)
        name = f'{role}: {Path(file).stem}' if role else Path(file).stem
        splits.append(AuditSplit(name, frozenset([role or file]), source, slices))
    return name_apart(splits)


def name_apart(splits: Sequence[AuditSplit]) -> list[AuditSplit]:
    """Number the splits whose names would be the same."""
    taken: dict[str, int] = {}
    named = []
    for split in splits:
        count = taken[split.name] = taken.get(split.name, 0) + 1
        named.append(split._replace(name=f'{split.name} ({count})') if count > 1 else split)
    return named


def _read(file: str, folder: str) -> tuple[str, list[dict]]:
    """What an annotation file is of, and its slices; all its images are there."""
    if not Path(file).is_file():
        raise FileNotFoundError(f'{file}: no such annotation file. Correct the path.')
    content = {}
    if file.endswith('.json'):
        try:
            content = json.loads(Path(file).read_text(encoding='utf-8'))
            classes = (
                IMAGE_CLASSES if 'categories' in content else tuple(content['metainfo']['classes'])
            )
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise ValueError(
                f'{file}: no annotations of lesions or slices ({type(error).__name__}: {error}). '
                'Convert the set again.'
            ) from error
    else:
        classes = IMAGE_CLASSES
    if 'categories' in content:
        source, slices = (
            LESION_SET,
            [
                dict(img_path=os.path.join(folder, name), patient_id=patient)
                for name, patient in list_images(content, file)
            ],
        )
    else:
        entries = read_slices(file, classes)
        check_unique(entries)
        source, slices = (
            SLICE_SET,
            [
                dict(img_path=os.path.join(folder, each.name), patient_id=each.patient)
                for each in entries
            ],
        )
    paths = [info['img_path'] for info in slices]
    check_inside(paths, folder)
    missing = find_missing(paths)
    if missing:
        raise FileNotFoundError(f'{file}: missing images, {name_some(missing)}. Correct --images.')
    return source, slices
