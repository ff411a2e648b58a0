"""Scans with their class, and what a model said of their slices, from the folders of a run."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmcovid.utils.files import read_table

from .learned import Slices, relative_heights

COLUMNS = ('scan', 'patient', 'class', 'split')
#: A rule is fitted to the first, chosen and calibrated by the second, and may be tried on the last.
SPLITS = ('train', 'val', 'test')
#: Beside results.json: image vectors of its slices, (n, D) float32, in their order.
VECTORS = 'vectors.npy'
#: What has to be the same for all scans, by its place in results.json.
_SHARED = {
    'model': ('model', 'weights_sha256'),
    'classes': ('model', 'image_classes'),
    'region': ('settings', 'region'),
    'temperature': ('settings', 'temperature'),
    'precision': ('settings', 'precision'),
}


@dataclass(frozen=True)
class LabelledScan:
    """A scan of known class."""

    name: str
    patient: str
    label: int
    split: str  #: one of :data:`SPLITS`
    slices: Slices  #: those that its class is read from


@dataclass(frozen=True)
class ScanSet:
    """Scans that one model has read in one way."""

    scans: list[LabelledScan]
    classes: tuple[str, ...]
    model: dict[str, Any]  #: as in results.json
    region: str
    temperature: float  #: of the slice scores
    notes: list[str]  #: what a reader should know

    def of(self, split: str) -> list[LabelledScan]:
        """The scans of a split."""
        return [scan for scan in self.scans if scan.split == split]


def load_scans(table: str | Path, folders: Sequence[str | Path], vectors: bool) -> ScanSet:
    """Read the results of the scans that a table lists.

    Args:
        table (str | Path): CSV with the columns ``scan`` (name of its folder, or, as ``RUN/SCAN``,
            with that of ``folders`` that it is in), ``patient``, ``class`` and ``split``.
        folders (Sequence[str | Path]): Folders that ``mmcovid infer`` wrote to.
        vectors (bool): Whether image vectors are read.

    Raises:
        FileNotFoundError: The table, or the results of a scan, are not there.
        ValueError: The table cannot be read, a patient is in two splits, a class is missing in
            one, or results are broken or of different models.
    """
    rows = _read_table(Path(table))
    found, beside = _find_results(rows, table, folders)
    scans: list[LabelledScan] = []
    shared: dict[str, Any] = {}
    incomplete = 0
    for place, row in rows.items():
        folder = found[row['scan']]
        results = read_results(folder)
        _check_shared(results, shared, folder)
        classes = shared['classes']
        if row['class'] not in classes:
            raise ValueError(
                f'{place}: {row["class"]!r} is no class of the model, which knows '
                f'{", ".join(classes)}. Correct it.'
            )
        incomplete += not results['complete']
        slices = read_slices(folder, results, classes, vectors)
        label = classes.index(row['class'])
        scans.append(LabelledScan(row['scan'], row['patient'], label, row['split'], slices))
    _check_classes(scans, classes, table)
    notes = []
    if beside:
        notes.append(f'{beside} scans of the folders are not in {table}, and were not read')
    if incomplete:
        notes.append(f'{incomplete} scans lack slices that could not be read')
    model = results['model']
    return ScanSet(scans, tuple(classes), model, shared['region'], shared['temperature'], notes)


def _read_table(path: Path) -> dict[str, dict[str, str]]:
    """Rows by their place, for messages.

    Raises:
        FileNotFoundError, ValueError: As of :func:`load_scans`.
    """
    if not path.is_file():
        raise FileNotFoundError(f'{path}: no such table. Correct the path.')
    columns, lines = read_table(path, 'table')
    lacking = [name for name in COLUMNS if name not in columns]
    if lacking:
        raise ValueError(
            f'{path}: lacks the columns {", ".join(lacking)}. The first line names them: '
            f'{",".join(COLUMNS)}'
        )
    rows = {
        f'{path}, line {line}': {name: (row[name] or '').strip() for name in COLUMNS}
        for line, row in lines
    }
    _check_rows(rows)
    return rows


def _check_rows(rows: Mapping[str, Mapping[str, str]]) -> None:
    """Make sure that rows are whole, scans listed once, and patients in one split.

    Raises:
        ValueError: They are not.
    """
    scans: dict[str, str] = {}
    splits: dict[str, tuple[str, str]] = {}
    for place, row in rows.items():
        empty = [name for name in COLUMNS if not row[name]]
        if empty:
            raise ValueError(f'{place}: has no {" and no ".join(empty)}. Fill it in.')
        if row['split'] not in SPLITS:
            raise ValueError(
                f'{place}: the split {row["split"]!r} is none of {", ".join(SPLITS)}. Correct it.'
            )
        if (other := scans.setdefault(row['scan'], place)) != place:
            raise ValueError(
                f'{place}: {row["scan"]} was already listed in {other}. Remove one of the two.'
            )
        split, other = splits.setdefault(row['patient'], (row['split'], place))
        if split != row['split']:
            raise ValueError(
                f'{place}: patient {row["patient"]} is in {row["split"]}, and by {other} in '
                f'{split}. Put all scans of a patient into one split.'
            )


def _find_results(
    rows: Mapping[str, Mapping[str, str]], table: str | Path, folders: Sequence[str | Path]
) -> tuple[dict[str, Path], int]:
    """Folder of each scan, and how many scans there are that are not listed.

    Raises:
        FileNotFoundError, ValueError: A scan is in no folder, or in two.
    """
    there: dict[str, list[Path]] = {}
    paths = sorted(each.parent for name in folders for each in Path(name).glob('*/results.json'))
    for path in paths:
        for name in (path.name, f'{path.parent.name}/{path.name}'):
            there.setdefault(name, []).append(path)
    found: dict[str, Path] = {}
    listed: dict[Path, str] = {}
    for place, row in rows.items():
        places = there.get(row['scan'], [])
        if not places:
            raise FileNotFoundError(
                f'{place}: there is no {row["scan"]}/results.json in '
                f'{", ".join(map(str, folders))}. Read the scan by mmcovid infer, or remove the '
                'line.'
            )
        if len(places) > 1:
            raise ValueError(
                f'{place}: {row["scan"]} is in {places[0].parent} and {places[1].parent}. List it '
                f'as {places[0].parent.name}/{places[0].name}, or name one of these folders only.'
            )
        if (other := listed.setdefault(places[0], place)) != place:
            raise ValueError(
                f'{place}: {places[0]} was already listed in {other}. Remove one of the two.'
            )
        found[row['scan']] = places[0]
    return found, len(paths) - len(found)


def read_results(folder: Path) -> dict[str, Any]:
    """``results.json`` of a scan that has a class.

    Raises:
        ValueError: It is broken, or of a model that does not classify.
    """
    path = folder / 'results.json'
    try:
        results = json.loads(path.read_text(encoding='utf-8'))
        classified = results['classification'] is not None
        results['complete'], results['model'], results['settings'], results['slices']
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            f'{path}: is no result of mmcovid infer ({error!r}). Read the scan again.'
        ) from error
    if not classified:
        raise ValueError(f'{path}: is of a model that does not classify. Take another model.')
    return results


def _check_shared(results: Mapping[str, Any], shared: dict[str, Any], folder: Path) -> None:
    """Make sure that a scan was read as those before it.

    Raises:
        ValueError: It was not.
    """
    for name, (part, key) in _SHARED.items():
        value = results[part].get(key)
        if shared.setdefault(name, value) != value:
            raise ValueError(
                f'{folder / "results.json"}: its {name} is {value}, and {shared[name]} of the '
                'scans before it. Read all scans by the same model and options.'
            )


def read_slices(
    folder: Path, results: Mapping[str, Any], classes: Sequence[str], vectors: bool
) -> Slices:
    """The slices of a scan that its class is read from.

    Args:
        folder (Path): Of the scan.
        results (Mapping): What its ``results.json`` holds.
        classes (Sequence[str]): In the order of their labels.
        vectors (bool): Whether image vectors are read.

    Raises:
        FileNotFoundError, ValueError: Image vectors are not there, or broken.
    """
    rows = results['slices']
    chosen = [i for i, row in enumerate(rows) if row['in_region']]
    scores = np.array([[rows[i]['scores'][name] for name in classes] for i in chosen], float)
    heights = relative_heights(np.array([rows[i]['index'] for i in chosen]))
    kept = _read_vectors(folder / VECTORS, len(rows))[chosen] if vectors else None
    return Slices(heights, scores, kept)


def _read_vectors(path: Path, number: int) -> np.ndarray:
    """Image vectors of a scan, (number, D)."""
    if not path.is_file():
        raise FileNotFoundError(
            f'{path}: no such file. Read the scan by mmcovid infer --keep-vectors, or fit to '
            '--features scores.'
        )
    try:
        vectors = np.load(path, allow_pickle=False)
        if vectors.ndim != 2 or len(vectors) != number or not np.isfinite(vectors).all():
            raise ValueError(f'{vectors.shape} numbers of {number} slices')
    except (ValueError, TypeError, EOFError, OSError) as error:
        raise ValueError(
            f'{path}: holds no image vectors ({error}). Read the scan again.'
        ) from error
    return vectors.astype(float)


def _check_classes(
    scans: Sequence[LabelledScan], classes: Sequence[str], table: str | Path
) -> None:
    """Make sure that there are scans of all classes to fit to and to choose by.

    Raises:
        ValueError: There are not.
    """
    count = Counter((scan.split, scan.label) for scan in scans)
    for split in SPLITS[:2]:
        lacking = [name for k, name in enumerate(classes) if not count[split, k]]
        if lacking:
            raise ValueError(
                f'{table}: no scan of the split {split} is of class {", ".join(lacking)}. Add some.'
            )
