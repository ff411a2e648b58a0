"""Scans and their label maps as a data set of nnU-Net, version 2."""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from rich.progress import track

from mmcovid.classes import Classes
from mmcovid.ct import find_volumes, read_volume, volume_suffix, write_mask, write_volume
from mmcovid.data_tools.label_maps import find_label_maps, read_labels
from mmcovid.utils.files import atomic_folder, name_some, write_json

#: What nnU-Net calls a data set.
_NAME = re.compile(r'Dataset\d{3}_\w+')
_SUFFIX = '.nii.gz'


def write_nnunet_dataset(
    out: str | Path,
    scans: str | Path,
    labels: str | Path,
    classes: Classes,
    folds: int = 5,
    seed: int = 0,
    patients: Mapping[str, str] | None = None,
    show_progress: bool = True,
) -> dict[str, int]:
    """Write scans as nnU-Net expects them.

    - ``imagesTr/<scan>_0000.nii.gz`` and ``labelsTr/<scan>.nii.gz``, scans with a label map,
    - ``imagesTs/<scan>_0000.nii.gz``, scans without one,
    - ``dataset.json``, and ``splits_final.json``, whose folds share no patient.

    Voxels are in HU, on the grids of the scans. The set is built beside ``out`` and moved there
    when it is whole.

    Args:
        out (str | Path): Folder of the set, such as ``nnUNet_raw/Dataset501_phantom``.
        scans (str | Path): Folder of volumes and of folders of DICOM series.
        labels (str | Path): Folder of the label maps, named as the scans, on their grids.
        classes (Classes): Of the labels 1 and up.
        folds (int): Number of folds. Defaults to 5.
        seed (int): Another seed gives other folds. Defaults to 0.
        patients (Mapping[str, str], optional): Patient of each scan with a label map. Defaults to
            None: each scan is of its own.
        show_progress (bool): Show a progress bar. Defaults to True.

    Returns:
        dict[str, int]: ``training``, ``test`` and ``folds``.

    Raises:
        FileExistsError: ``out`` is there already.
        OSError, ValueError: Something cannot be read, or does not fit.
    """
    out = Path(out)
    if not _NAME.fullmatch(out.name):
        raise ValueError(
            f'{out}: nnU-Net calls a data set such as Dataset501_phantom. Name the folder so.'
        )
    maps, volumes = find_label_maps(labels), _name_volumes(scans)
    if alone := sorted(maps.keys() - volumes.keys()):
        raise FileNotFoundError(
            f'{scans}: lacks the scans of label maps, {name_some(alone)}. Name both alike.'
        )
    splits = _split(sorted(maps), patients or {}, folds, seed)
    with atomic_folder(out) as building:
        for scan, path in track(volumes.items(), description='scans', disable=not show_progress):
            volume = read_volume(path)
            kind = 'Tr' if scan in maps else 'Ts'
            write_volume(volume, building / f'images{kind}' / f'{scan}_0000{_SUFFIX}')
            if scan in maps:
                mask = read_labels(maps[scan], classes, like=volume).array
                write_mask(mask, volume, building / 'labelsTr' / f'{scan}{_SUFFIX}')
        names = ('background', *classes.lesion_names)
        write_json(
            dict(
                name=out.name,
                channel_names={'0': 'CT'},
                labels={name: label for label, name in enumerate(names)},
                numTraining=len(maps),
                file_ending=_SUFFIX,
            ),
            building / 'dataset.json',
        )
        write_json(splits, building / 'splits_final.json')
    return dict(training=len(maps), test=len(volumes) - len(maps), folds=len(splits))


def _name_volumes(folder: str | Path) -> dict[str, str]:
    """The volumes and DICOM folders of a folder, by name."""
    if not Path(folder).is_dir():
        raise FileNotFoundError(f'{folder}: no such folder of scans. Correct the path.')
    named: dict[str, str] = {}
    for path in find_volumes(folder):
        name = Path(path).name
        name = name[: len(name) - len(volume_suffix(name))]
        if name in named:
            raise ValueError(f'{path}: {named[name]} has the same name. Take one of them away.')
        named[name] = path
    return named


def _split(
    scans: list[str], patients: Mapping[str, str], folds: int, seed: int
) -> list[dict[str, list[str]]]:
    """Training and validation scans of each fold; no patient is in both."""
    of = {scan: patients.get(scan, scan) for scan in scans}
    names = sorted(set(of.values()))
    if not 2 <= folds <= len(names):
        raise ValueError(
            f'{folds} folds of {len(names)} patients: give from 2 to as many as there are patients.'
        )
    drawn = np.random.default_rng(seed).permutation(names)
    return [
        dict(
            train=[scan for scan in scans if of[scan] not in held_out],
            val=[scan for scan in scans if of[scan] in held_out],
        )
        for held_out in map(set, np.array_split(drawn, folds))
    ]
