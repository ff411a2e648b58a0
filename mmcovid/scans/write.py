"""Masks of a scan, and the table of its slices, as files."""

from collections.abc import Collection, Sequence
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mmcovid.classes import Classes
from mmcovid.ct import write_mask
from mmcovid.ct.inputs import name_outputs
from mmcovid.reporting import write_csv
from mmcovid.results import ScanSlice
from mmcovid.scan_class.load import VECTORS
from mmcovid.utils.escape import file_name

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
        file = _free_name(file_name(name), files)
        write_mask(class_mask(labels, name, classes), prediction.volume, folder / file)
        files[file] = f'{name}, lesions included' if name == classes.lung else name
    return files


def _free_name(stem: str, taken: Collection[str]) -> str:
    """A name of a mask that is not taken: classes may differ in what no name of a file has."""
    numbers = chain([''], (f'-{k}' for k in count(2)))
    return next(name for k in numbers if (name := f'{stem}{k}.nii.gz') not in taken)


def _write_label_pictures(folder: Path, slices: Sequence[Slice], classes: Classes) -> None:
    """A label map for each picture."""
    names = name_outputs([kept.path for kept in slices])
    folder.mkdir()
    for kept in slices:
        if kept.labels is None:
            continue
        image = Image.fromarray(kept.labels)
        image.putpalette(np.array([(0, 0, 0), *classes.palette], np.uint8).ravel().tolist())
        image.save(folder / f'{file_name(names[kept.path])}.png')


def write_vectors(folder: Path, slices: Sequence[Slice]) -> dict[str, str]:
    """Write the image vectors of slices, from which ``mmcovid scan-class`` fits a rule.

    Returns:
        dict[str, str]: What the file holds.

    Raises:
        ValueError: The model gives none.
    """
    vectors = [kept.vector for kept in slices if kept.vector is not None]
    if len(vectors) < len(slices):
        raise ValueError(
            'the model gives no image vectors. Leave out --keep-vectors, or export it again.'
        )
    np.save(folder / VECTORS, np.stack(vectors).astype(np.float32), allow_pickle=False)
    return {VECTORS: 'image vectors of the slices'}


def write_slice_table(path: Path, rows: Sequence[ScanSlice]) -> None:
    """Write ``slices.csv``: one line for each slice, without its lesions and RoIs."""
    lines = [_slice_line(row) for row in rows]
    write_csv(path, list(lines[0]), lines)


def _slice_line(row: ScanSlice) -> dict[str, Any]:
    """A slice by column."""
    line = dict(index=row.index, path=row.path, z_mm=row.z_mm, in_region=row.in_region)
    line.update({'class': row.class_, 'leading_class': row.leading_class, 'score': row.score})
    line.update({f'score_{name}': value for name, value in (row.scores or {}).items()})
    if row.feature_distance is not None:
        line.update(feature_distance=row.feature_distance, familiar=row.familiar)
    if row.weight is not None:
        line.update(weight=row.weight)
    line['lesions'] = None if row.lesions is None else len(row.lesions)
    line.update({f'{name}_pixels': count for name, count in (row.pixels or {}).items()})
    line.update({f'{name}_mm2': area for name, area in (row.area_mm2 or {}).items()})
    return line
