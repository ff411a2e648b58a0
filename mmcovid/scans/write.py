"""Masks and tables of a scan, and the table of all scans, as files."""

import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from PIL import Image

from mmcovid.classes import Classes
from mmcovid.ct import write_mask
from mmcovid.ct.inputs import name_outputs
from mmcovid.reporting import write_csv
from mmcovid.results import Failure, ScanResults, ScanSlice

from .label_maps import class_mask
from .predict import Prediction, Slice

LABEL_MAP = 'labels.nii.gz'


def write_masks(folder: Path, prediction: Prediction, classes: Classes) -> dict[str, str]:
    """Write the label map, and the mask of each class.

    Of a volume these are NIfTI files on the grid of its file; of pictures, a label map for each
    as a PNG whose palette shows the classes.

    Args:
        folder (Path): Where to write.
        prediction (Prediction): With label maps, or nothing is written.
        classes (Classes): Label 1 is the first of its lesion classes.

    Returns:
        dict[str, str]: What each file, or the folder of files, holds.
    """
    if prediction.slices[0].labels is None:
        return {}
    legend = ', '.join(
        f'{k} {name}' for k, name in enumerate(('background', *classes.lesion_names))
    )
    if prediction.volume is None:
        _write_label_pictures(folder / 'labels', prediction.slices, classes)
        return {'labels/': legend}
    labels, files = prediction.label_map(), {LABEL_MAP: legend}
    write_mask(labels, prediction.volume, folder / LABEL_MAP)
    for name in classes.lesion_names:
        write_mask(class_mask(labels, name, classes), prediction.volume, folder / f'{name}.nii.gz')
        files[f'{name}.nii.gz'] = f'{name}, lesions included' if name == classes.lung else name
    return files


def _write_label_pictures(folder: Path, slices: Sequence[Slice], classes: Classes) -> None:
    """A label map for each picture."""
    names = name_outputs([kept.path for kept in slices])
    folder.mkdir()
    for kept in slices:
        if kept.labels is None:
            continue
        image = Image.fromarray(kept.labels)
        image.putpalette(np.array([(0, 0, 0), *classes.palette], np.uint8).ravel().tolist())
        image.save(folder / f'{names[kept.path]}.png')


def write_slice_table(path: Path, rows: Sequence[ScanSlice]) -> None:
    """Write ``slices.csv``: one line for each slice, without its lesions and RoIs."""
    lines = [_slice_line(row) for row in rows]
    write_csv(path, list(lines[0]), lines)


def _slice_line(row: ScanSlice) -> dict[str, Any]:
    """A slice by column."""
    line = dict(index=row.index, path=row.path, z_mm=row.z_mm, in_region=row.in_region)
    line.update({'class': row.class_, 'leading_class': row.leading_class, 'score': row.score})
    line.update({f'score_{name}': value for name, value in (row.scores or {}).items()})
    line['lesions'] = None if row.lesions is None else len(row.lesions)
    line.update({f'{name}_pixels': count for name, count in (row.pixels or {}).items()})
    line.update({f'{name}_mm2': area for name, area in (row.area_mm2 or {}).items()})
    return line


def summary_line(name: str, results: ScanResults) -> dict[str, Any]:
    """The line of a scan in ``summary.csv``, by column."""
    line: dict[str, Any] = dict(
        scan=name,
        status='ok' if results.complete else 'incomplete',
        input=results.scan.path,
        slices=results.scan.num_slices,
    )
    line |= {'class': None, 'leading_class': None, 'score': None}
    if (found := results.classification) is not None:
        line |= {'class': found.class_, 'leading_class': found.leading_class, 'score': found.score}
        line |= {f'score_{key}': value for key, value in found.scores.items()}
    for key, volume in (results.volumes or {}).items():
        line |= {f'{key}_ml': volume.ml, f'{key}_share_of_lung': volume.share_of_lung}
    reason = '; '.join(f'{failure.input}: {failure.reason}' for failure in results.errors)
    return dict(line, reason=reason)


def failed_line(name: str, failure: Failure) -> dict[str, Any]:
    """The line of an input without results in ``summary.csv``, by column."""
    return dict(scan=name, status='failed', input=failure.input, reason=failure.reason)


def update_summary(out: Path, lines: Sequence[dict[str, Any]]) -> None:
    """Put lines into ``summary.csv``; those of folders that former runs wrote stay.

    Several processes may write to one folder: each waits for the others.

    Args:
        out (Path): Folder of ``summary.csv``.
        lines (Sequence[dict]): Of :func:`summary_line` and :func:`failed_line`.
    """
    out.mkdir(parents=True, exist_ok=True)
    with FileLock(out / '.summary.lock'):
        kept = _read_summary(out / 'summary.csv')
        again = {line['input'] for line in lines}
        kept = {
            key: line
            for key, line in kept.items()
            if line['status'] != 'failed' or line['input'] not in again
        }
        for line in lines:
            there = line['scan'] and (out / line['scan'] / 'results.json').is_file()
            if line['status'] != 'failed' or not there:
                kept[line['scan'] or line['input']] = line
        if not kept:
            return
        header = list(
            dict.fromkeys(column for line in kept.values() for column in line if column != 'reason')
        ) + ['reason']
        write_csv(out / 'summary.csv', header, kept.values())


def _read_summary(path: Path) -> dict[str, dict[str, Any]]:
    """Lines of ``summary.csv``, by scan or else by input."""
    if not path.is_file():
        return {}
    # the reasons of a scan with many bad slices are longer than what csv reads by default
    csv.field_size_limit(sys.maxsize)
    with open(path, newline='', encoding='utf-8') as file:
        return {(line['scan'] or line['input']): line for line in csv.DictReader(file)}
