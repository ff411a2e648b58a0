"""Label maps of scans: the truth, what mmcovid wrote, and what any other model did."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from mmcovid.classes import Classes
from mmcovid.data_tools.label_maps import find_label_maps
from mmcovid.scans.former import read_results
from mmcovid.scans.write import LABEL_MAP
from mmcovid.utils.files import name_some, read_table


@dataclass(frozen=True)
class LabelMaps:
    """The label maps of a folder."""

    source: Path
    files: dict[str, Path]  #: by scan
    #: lesions by scan, as ``results.json`` has them; none of other models
    lesions: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    #: of a table of scores: voxels along the axes x, y, z of the file, (n, 3), and scores, (n,)
    points: dict[str, tuple[np.ndarray, np.ndarray]] | None = None

    @property
    def scored(self) -> bool:
        """Whether all lesions have scores."""
        return (
            self.points is not None
            or self.lesions.keys() == self.files.keys()
            and all(
                lesion['score'] is not None for found in self.lesions.values() for lesion in found
            )
        )


def find_truth(folder: str | Path) -> LabelMaps:
    """The label maps of a folder, see :func:`~mmcovid.data_tools.label_maps.find_label_maps`."""
    return LabelMaps(Path(folder), find_label_maps(folder))


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


def with_scores(models: dict[str, LabelMaps], items: Sequence[str]) -> dict[str, LabelMaps]:
    """Models, some with the scores of their lesions from tables.

    Args:
        models (dict[str, LabelMaps]): By name.
        items (Sequence[str]): ``NAME=CSV``, a table with columns ``scan``, ``x``, ``y``, ``z``, a
            voxel of a lesion along the axes of its file, and ``score``.

    Raises:
        OSError, ValueError: A table cannot be read, or there is no such model.
    """
    models = dict(models)
    for item in items:
        name, _, path = item.partition('=')
        if name not in models:
            raise ValueError(f'{item}: no model is called {name!r}. Give NAME=CSV of a model.')
        models[name] = replace(models[name], points=_read_points(path, models[name].files))
    return models


def _read_points(path: str, scans: Iterable[str]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Voxels and scores of each scan; other scans are passed over."""
    rows: dict[str, list[list[float]]] = {scan: [] for scan in scans}
    for line, row in read_table(path)[1]:
        try:
            scan, score = row['scan'], float(row['score'])
            values = [*(int(row[key]) for key in 'xyz'), score]
            if not math.isfinite(score):
                raise ValueError(f'a score of {score}')
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f'{path}, line {line}: has no scan, whole x, y, z and score ({error}). Correct it.'
            ) from error
        if scan in rows:
            rows[scan].append(values)
    tables = {scan: np.array(found, float).reshape(-1, 4) for scan, found in rows.items()}
    return {scan: (table[:, :3].astype(int), table[:, 3]) for scan, table in tables.items()}


def _find_results(folder: Path, classes: Classes) -> LabelMaps | None:
    """What ``mmcovid infer`` wrote to a folder; None if that is something else."""
    files, lesions = {}, {}
    for path in sorted(folder.glob('*/results.json')):
        results = read_results(path.parent)
        if results is None:
            raise ValueError(f'{path}: cannot be read. Predict the scan again.')
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
