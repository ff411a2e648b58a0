"""Segmentations that readers corrected, as a lesion set.

A set is written in the layout of CNCB-NCOV's, so that what reads and splits that reads and splits
this: ``OUT/image/<patient>/<scan>_<n>.png``, ``OUT/mask/...`` and ``OUT/annotations``.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from rich.progress import track

from mmcovid.ct import (
    LEVEL,
    WIDTH,
    CTVolume,
    Segment,
    SlicePath,
    apply_window,
    read_segments,
    read_volume,
)
from mmcovid.utils.escape import file_name
from mmcovid.utils.files import atomic_folder, name_some, read_table, sha256

from .lesion_annotations import SplitTotals, write_lesion_annotations
from .lesion_files import LesionSlice
from .lesion_masks import CLASS_VALUES

#: Name of the JSON, without suffix.
SPLIT = 'lesions_corrected'
#: What a segment is called that is of no class.
NO_CLASS = 'none'
_COLUMNS = ('scan', 'labels', 'patient', 'original')


class Correction(NamedTuple):
    """A scan and what a reader made of its label map."""

    scan: str  #: volume, or folder of a DICOM series
    labels: str  #: corrected segmentation, of any kind that :func:`read_segments` takes
    patient: str
    original: str | None = None  #: what the reader began with, by which changes are counted


class CorrectedScan(NamedTuple):
    """What became of a scan."""

    scan: str
    patient: str
    labels_sha256: str
    slices: int  #: of the scan
    unlabelled: int  #: left out, as no label is on them
    unchanged: int | None  #: as they were in the original; None without one
    unchanged_left_out: int
    no_class: dict[str, int]  #: voxels of segments that are of no class, left out

    def __str__(self) -> str:
        """In one line."""
        left_out = [f'{self.unlabelled} without a label']
        if self.unchanged_left_out:
            left_out.append(f'{self.unchanged_left_out} unchanged')
        left_out += [f'{voxels} voxels of {name!r}' for name, voxels in self.no_class.items()]
        changed = ''
        if self.unchanged is not None:
            changed = f', {self.slices - self.unchanged} of them changed by the reader'
        return f'{self.scan}: {self.slices} slices{changed}; left out: {", ".join(left_out)}'


def read_corrections(file: str | Path) -> list[Correction]:
    """Read a list of corrections, paths of which are relative to its folder.

    Args:
        file (str | Path): CSV with the columns ``scan`` and ``labels`` and, if wanted, ``patient``
            and ``original``.

    Raises:
        FileNotFoundError: There is no such list.
        ValueError: It has other columns, no lines, or a line without scan or labels.
    """
    file = Path(file)
    if not file.is_file():
        raise FileNotFoundError(f'{file}: no such list of corrections. Correct the path.')
    columns, rows = read_table(file)
    if not {'scan', 'labels'} <= set(columns) <= set(_COLUMNS) or not rows:
        raise ValueError(
            f'{file}: has {len(rows)} lines of the columns {sorted(set(columns))}. Give it '
            f'lines of {", ".join(_COLUMNS)}; the last two may be missing.'
        )
    empty = [str(line) for line, row in rows if None in row or not row['scan'] or not row['labels']]
    if empty:
        raise ValueError(
            f'{file}: lines without scan or labels, or with more than the columns, '
            f'{name_some(empty)}. Complete them.'
        )
    return [
        Correction(
            str(file.parent / row['scan']),
            str(file.parent / row['labels']),
            row.get('patient') or patient_of_scan(row['scan']),
            str(file.parent / row['original']) if row.get('original') else None,
        )
        for _, row in rows
    ]


def patient_of_scan(scan: str) -> str:
    """What a patient is called whom nobody named: as the scan."""
    return _slice_name(scan, 0).rpartition('_')[0]


def write_corrections(
    corrections: Sequence[Correction],
    out: str | Path,
    names: Mapping[str, str] | None = None,
    window: tuple[float, float] = (LEVEL, WIDTH),
    changed_only: bool = False,
    min_area: int = 100,
    merge_lesions: bool = False,
    workers: int = 1,
    show_progress: bool = True,
) -> tuple[list[CorrectedScan], SplitTotals]:
    """Write slices, masks and annotations of corrected scans, all or nothing.

    Slices without a label are left out, as nobody may have looked at them, unless the original has
    one there.

    Args:
        corrections (Sequence[Correction]): The scans.
        out (str | Path): Folder that is not there yet.
        names (Mapping[str, str], optional): Class of segments, by their names or values, where it
            is not as they are called; :data:`NO_CLASS` leaves one out. Defaults to None.
        window (tuple[float, float]): Level and width of the pictures, in HU. Defaults to that of
            :func:`~mmcovid.ct.apply_window`.
        changed_only (bool): Leave out slices that are as in the original. Defaults to False.
        min_area (int): See :func:`find_instances`. Defaults to 100.
        merge_lesions (bool): One class ``lesion`` of GGO and consolidation. Defaults to False.
        workers (int): Threads that read masks. Defaults to 1.
        show_progress (bool): Show progress bars. Defaults to True.

    Returns:
        tuple[list[CorrectedScan], SplitTotals]: What became of each scan, and of all slices.

    Raises:
        FileExistsError: The folder is there.
        FileNotFoundError: A scan or a segmentation is not.
        ValueError: One cannot be read, they do not fit each other, or a segment is of no class.
    """
    values = _class_values(names or {}, merge_lesions)
    _check_names(corrections)
    if changed_only and not all(each.original for each in corrections):
        raise ValueError(
            'what is unchanged is not known without the original of each scan. Give --original, or '
            'fill that column of the list.'
        )
    slices: list[LesionSlice] = []
    scans: list[CorrectedScan] = []
    with atomic_folder(out) as folder:
        for correction in track(corrections, 'scans', disable=not show_progress):
            found, scan = _write_scan(correction, folder, values, window, changed_only)
            slices += found
            scans.append(scan)
        if not slices:
            raise ValueError(
                f'no slice is left of {name_some([each.scan for each in scans])}: none has a label'
                f'{" and is changed" if changed_only else ""}. Give the corrected label maps.'
            )
        options = dict(
            window=list(window),
            changed_only=changed_only,
            names=dict(names or {}),
            scans=[scan._asdict() for scan in scans],
        )
        totals = write_lesion_annotations(
            folder / 'annotations',
            {SPLIT: slices},
            min_area,
            merge_lesions,
            options=options,
            workers=workers,
            show_progress=show_progress,
            source='corrections of readers',
            collection='corrections of readers',
        )
    return scans, totals[SPLIT]


def paint_segments(
    segments: Iterable[Segment], values: Mapping[str, int], shape: tuple[int, ...], path: str
) -> tuple[np.ndarray, dict[str, int]]:
    """A label map of segments; where they overlap, the higher value is above.

    Args:
        segments (Iterable[Segment]): Of masks (Z, H, W).
        values (Mapping[str, int]): Value of each name, in small letters; 0 of those left out.
        shape (tuple[int, int, int]): (Z, H, W).
        path (str): What they are of, for the message.

    Returns:
        tuple[np.ndarray, dict[str, int]]: (Z, H, W) uint8, values of ``CLASS_VALUES``, and the
        voxels of each segment that is left out.

    Raises:
        ValueError: A segment is of no class.
    """
    painted, left_out, unknown = np.zeros(shape, np.uint8), {}, []
    for name, mask in segments:
        value = values.get(name.strip().lower())
        if value is None:
            unknown.append(name)
        elif value == 0:
            left_out[name] = int(mask.sum())
        else:
            np.maximum(painted, mask * np.uint8(value), out=painted)
    if unknown:
        known = ', '.join(name for name, value in values.items() if value)
        raise ValueError(
            f'{path}: segments that are no class, {name_some(unknown)}. Known are {known}; tell '
            f'the class of others by --name "{unknown[0]}=CLASS", or {NO_CLASS} to leave one out.'
        )
    return painted, left_out


def _class_values(names: Mapping[str, str], merge_lesions: bool) -> dict[str, int]:
    """Mask values of what segments may be called, in small letters.

    Raises:
        ValueError: A class is none.
    """
    classes = {name: value for name, (value,) in CLASS_VALUES.items()}
    if merge_lesions:
        classes['lesion'] = classes['ggo']
    wrong = sorted(set(names.values()) - {*classes, NO_CLASS})
    if wrong:
        raise ValueError(
            f'no classes of lesions, {name_some(wrong)}. Give one of {", ".join(classes)}, or '
            f'{NO_CLASS}.'
        )
    by_value = {str(value): value for value in classes.values()}
    called = {name.strip().lower(): classes.get(class_, 0) for name, class_ in names.items()}
    return classes | by_value | called


def _check_names(corrections: Sequence[Correction]) -> None:
    """Make sure that each scan and each patient has files of its own.

    Raises:
        ValueError: Two would share them.
    """
    patients: dict[str, str] = {}
    files: dict[tuple[str, str], str] = {}
    for each in corrections:
        folder = file_name(each.patient)
        if patients.setdefault(folder, each.patient) != each.patient:
            raise ValueError(
                f'the patients {patients[folder]!r} and {each.patient!r} would share the folder '
                f'{folder}. Call one otherwise.'
            )
        key = folder, _slice_name(each.scan, 0)
        if key in files:
            raise ValueError(f'{files[key]} and {each.scan} would have the same files. Rename one.')
        files[key] = each.scan


def _slice_name(scan: str, index: int) -> str:
    """What the files of a slice are called, without suffix."""
    named = SlicePath.parse(scan)._replace(index=index).as_file()
    return file_name(Path(named).stem)


def _write_scan(
    correction: Correction,
    folder: Path,
    values: Mapping[str, int],
    window: tuple[float, float],
    changed_only: bool,
) -> tuple[list[LesionSlice], CorrectedScan]:
    """Write pictures and masks of the slices of a scan."""
    volume = read_volume(correction.scan)

    def read(path: str) -> tuple[np.ndarray, dict[str, int]]:
        return paint_segments(read_segments(path, volume), values, volume.array.shape, path)

    labels, left_out = read(correction.labels)
    labelled = labels.any((1, 2))
    changed = None
    if correction.original:
        changed = (labels != read(correction.original)[0]).any((1, 2))
        labelled |= changed
    wanted = labelled & changed if changed is not None and changed_only else labelled
    slices = [
        _write_slice(correction, folder, int(index), volume, labels[index], window)
        for index in np.flatnonzero(wanted)
    ]
    return slices, CorrectedScan(
        scan=Path(SlicePath.parse(correction.scan).path).name,
        patient=correction.patient,
        labels_sha256=sha256(correction.labels),
        slices=len(volume),
        unlabelled=int((~labelled).sum()),
        unchanged=None if changed is None else int((~changed).sum()),
        unchanged_left_out=int((labelled & ~wanted).sum()),
        no_class=left_out,
    )


def _write_slice(
    correction: Correction,
    folder: Path,
    index: int,
    volume: CTVolume,
    mask: np.ndarray,
    window: tuple[float, float],
) -> LesionSlice:
    """Write picture and mask of a slice."""
    name = _slice_name(correction.scan, index)
    image, mask_file = (
        folder / kind / file_name(correction.patient) / f'{name}.png' for kind in ('image', 'mask')
    )
    for file, pixels in ((image, apply_window(volume.array[index], *window)), (mask_file, mask)):
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file)
    return LesionSlice(correction.patient, name, image, mask_file)
