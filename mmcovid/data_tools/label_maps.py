"""Label maps of scans in files of their own, each named as its scan."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmcovid.classes import Classes
from mmcovid.ct import CTVolume, read_volume, volume_suffix
from mmcovid.utils.files import name_some, read_table

#: Grids are the same if they differ by no more, in mm and in direction cosines.
_ALIKE_MM, _ALIKE_COSINE = 0.01, 1e-3


def find_label_maps(folder: str | Path) -> dict[str, Path]:
    """The label maps of a folder, by the names of their scans.

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
    return files


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
    columns, rows = read_table(path)
    if not {'scan', 'patient'} <= set(columns):
        raise ValueError(f'{path}: has no columns scan and patient. Add them.')
    patients = {row['scan']: row['patient'] for _, row in rows}
    missing = [scan for scan in scans if not patients.get(scan)]
    if missing:
        raise ValueError(f'{path}: tells no patient of {name_some(missing)}. Add them.')
    return {scan: patients[scan] for scan in scans}
