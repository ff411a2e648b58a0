"""Label maps of scans: the truth, what mmcovid wrote, and what any other model did."""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mmcovid.classes import Classes
from mmcovid.ct import CTVolume, read_volume, volume_suffix
from mmcovid.scans.write import LABEL_MAP
from mmcovid.utils.files import name_some

#: Grids are the same if they differ by no more, in mm and in direction cosines.
_ALIKE_MM, _ALIKE_COSINE = 0.01, 1e-3


@dataclass(frozen=True)
class LabelMaps:
    """The label maps of a folder."""

    source: Path
    files: dict[str, Path]  #: by scan
    #: lesions by scan, as ``results.json`` has them; none of other models
    lesions: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def scored(self) -> bool:
        """Whether all lesions have scores."""
        return self.lesions.keys() == self.files.keys() and all(
            lesion['score'] is not None for found in self.lesions.values() for lesion in found
        )


def find_truth(folder: str | Path) -> LabelMaps:
    """The label maps of a folder, each named as its scan.

    Raises:
        FileNotFoundError: There is no such folder, or none in it.
        ValueError: A scan has two.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f'{folder}: no such folder of label maps. Correct the path.')
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if suffix := volume_suffix(path):
            name = path.name[: -len(suffix)]
            if name in files:
                raise ValueError(
                    f'{path}: {files[name].name} is of the same scan. Take one of them away.'
                )
            files[name] = path
    if not files:
        raise FileNotFoundError(
            f'{folder}: has no label map. Give a folder of NIfTI, NRRD or MetaImage files, each '
            'named as its scan.'
        )
    return LabelMaps(folder, files)


def load_models(
    items: Sequence[str], truth: LabelMaps, classes: Classes
) -> tuple[dict[str, LabelMaps], list[str]]:
    """The label maps of models, of the scans that have a truth.

    Args:
        items (Sequence[str]): ``[NAME=]FOLDER``: what ``mmcovid infer`` wrote, or label maps that
            are named as their scans.
        truth (LabelMaps): The true ones.
        classes (Classes): What they hold.

    Returns:
        tuple[dict[str, LabelMaps], list[str]]: By name, and notes on scans without truth.

    Raises:
        FileNotFoundError: A scan with truth has no label map.
        ValueError: Two models have one name, or their classes are others.
    """
    models: dict[str, LabelMaps] = {}
    notes = []
    for item in items:
        head, equals, tail = item.partition('=')
        folder = Path(tail if equals else item)
        name = head if equals else folder.resolve().name
        if name in models:
            raise ValueError(f'{item}: another folder is called {name!r}, too. Give NAME=FOLDER.')
        found = _find_results(folder, classes) or find_truth(folder)
        missing = sorted(truth.files.keys() - found.files.keys())
        if missing:
            raise FileNotFoundError(
                f'{folder}: lacks scans of {truth.source}, {name_some(missing)}. Predict them, or '
                'take their truth away.'
            )
        extra = found.files.keys() - truth.files.keys()
        if extra:
            notes.append(f'{len(extra)} scans of {name} have no truth and are not compared.')
        models[name] = LabelMaps(
            found.source,
            {scan: found.files[scan] for scan in truth.files},
            {scan: found.lesions[scan] for scan in truth.files if scan in found.lesions},
        )
    return models, notes


def _find_results(folder: Path, classes: Classes) -> LabelMaps | None:
    """What ``mmcovid infer`` wrote to a folder; None if that is something else."""
    files, lesions = {}, {}
    for path in sorted(folder.glob('*/results.json')):
        results = json.loads(path.read_text(encoding='utf-8'))
        named = tuple(results['model']['classes'])
        if named != classes.lesion_names:
            raise ValueError(
                f'{path}: its classes are {", ".join(named)}, not '
                f'{", ".join(classes.lesion_names)}. Give those of the truth by --classes, and '
                'label maps of the same.'
            )
        if not (path.parent / LABEL_MAP).is_file():
            raise FileNotFoundError(
                f'{path.parent}: has no {LABEL_MAP}. Only volumes and DICOM series have one.'
            )
        files[path.parent.name] = path.parent / LABEL_MAP
        if joined := results.get('lesions_3d'):  # not of versions before
            lesions[path.parent.name] = joined['lesions']
    return LabelMaps(folder, files, lesions) if files else None


def read_labels(path: Path, classes: Classes, like: CTVolume | None = None) -> CTVolume:
    """A label map, turned as :class:`~mmcovid.ct.CTVolume` is.

    Args:
        path (Path): Its file.
        classes (Classes): What it may hold.
        like (CTVolume, optional): The truth, on whose grid it must be. Defaults to None.

    Raises:
        OSError, ValueError: It cannot be read, is no label map, or is on another grid.
    """
    volume = read_volume(path)
    labels = volume.array
    if not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0:
        raise ValueError(f'{path}: is no label map, as it has other than whole numbers from 0 on.')
    if labels.max() > len(classes.lesions):
        raise ValueError(
            f'{path}: has the label {labels.max()}, and {", ".join(classes.lesion_names)} are 1 to '
            f'{len(classes.lesions)}. Name all classes by --classes.'
        )
    if like is not None and not _same_grid(volume, like):
        raise ValueError(
            f'{path}: is on another grid than {like.metadata["path"]} (size {labels.shape[::-1]} '
            f'and {like.array.shape[::-1]}, spacing {volume.spacing} and {like.spacing}). Write '
            'both on the grid of the scan.'
        )
    return volume


def _same_grid(volume: CTVolume, like: CTVolume) -> bool:
    near = np.allclose
    return (
        volume.array.shape == like.array.shape
        and near(volume.grid.spacing, like.grid.spacing, rtol=0, atol=_ALIKE_MM)
        and near(volume.grid.origin, like.grid.origin, rtol=0, atol=_ALIKE_MM)
        and near(volume.grid.direction, like.grid.direction, rtol=0, atol=_ALIKE_COSINE)
    )


def read_patients(path: str | Path, scans: Sequence[str]) -> dict[str, str]:
    """The patient of each scan, from a table.

    Args:
        path (str | Path): CSV with columns ``scan`` and ``patient``.
        scans (Sequence[str]): That must be in it.

    Raises:
        OSError, ValueError: It cannot be read, or lacks a column or a scan.
    """
    with open(path, newline='', encoding='utf-8') as file:
        reader = csv.DictReader(file)
        if not {'scan', 'patient'} <= set(reader.fieldnames or ()):
            raise ValueError(f'{path}: has no columns scan and patient. Add them.')
        patients = {row['scan']: row['patient'] for row in reader}
    missing = [scan for scan in scans if not patients.get(scan)]
    if missing:
        raise ValueError(f'{path}: tells no patient of {name_some(missing)}. Add them.')
    return {scan: patients[scan] for scan in scans}
