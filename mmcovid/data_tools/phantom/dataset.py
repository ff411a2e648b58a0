"""A set of phantom patients in the folder layouts of the real sets."""

from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from rich.progress import track

from mmcovid.classes import IMAGE_CLASSES
from mmcovid.ct.volume import write_image
from mmcovid.data_tools.conversion import (
    PHANTOM,
    LesionSlice,
    SplitTotals,
    count_slices,
    list_lesion_slices,
    write_card,
    write_lesion_annotations,
)
from mmcovid.data_tools.slice_names import parse_slice_name
from mmcovid.utils.files import atomic_folder, write_json

from .patients import (
    LESION_LEVELS,
    Patient,
    confine_lesions,
    draw_patient,
    render_hu,
    render_slice,
)

CLASS_NAMES = ('Normal', 'CP', 'NCP')  # as COVIDx-CT spells IMAGE_CLASSES
LESION_LABELS = (1, 2)
LUNG_ONLY_LEVEL = 0.18  # above all lesions
MIN_SIZE = 64
#: Side of a slice and height of the chest in a scan, in mm.
FIELD_OF_VIEW, HEIGHT = 360, 240
CT_RANGE = -1024, 3071  # HU, of 12 bits


class SplitSize(NamedTuple):
    """How much goes into one split."""

    patients: int  #: per class
    slices: int  #: per patient


#: Class-labelled slices of the demo: many patients with few slices each, as a network knows
#: patients again by their anatomy and learns nothing else from a few.
SLICE_SPLITS = dict(train=SplitSize(80, 2), val=SplitSize(8, 2), test=SplitSize(10, 4))
#: Slices with lesion masks, of patients of the two lesion classes.
LESION_SPLITS = dict(train=SplitSize(30, 4), val=SplitSize(4, 4), test=SplitSize(8, 4))
#: Whole scans, of patients who are in no split.
SCANS = SplitSize(1, 40)


def write_phantom_set(
    out_dir: str | Path,
    slice_splits: Mapping[str, SplitSize] = SLICE_SPLITS,
    lesion_splits: Mapping[str, SplitSize] = LESION_SPLITS,
    scans: SplitSize = SCANS,
    size: int = 256,
    seed: int = 0,
    overwrite: bool = False,
    show_progress: bool = True,
    affected_shares: Sequence[float] = (),
) -> tuple[dict[str, int], dict[str, SplitTotals]]:
    """Write phantom patients, as folders, lists and annotations of the real sets.

    - ``covidx_ct/2A_images/<class>_<patient>_<scan>_<slice>.png`` and
      ``covidx_ct/<split>_phantom.txt`` as COVIDx-CT has them,
    - ``ct_lesion_seg/{image,mask}/<patient>/<n>.{jpg,png}`` as the CNCB-NCOV
      lesion set has them; one slice of each patient shows no lesion,
    - ``annotations/lesions_<split>.json`` made of the latter by the converter,
    - ``scans/<class>_<patient>.nii.gz``, whole scans in HU, their true masks
      (1 lung, 2 GGO, 3 consolidation) of the same names in ``scans/masks``, and
      ``scans/scans.txt`` with their classes, for :class:`VolumeDataset`.

    No patient is in two splits or in two of the sets. The same arguments give the
    same bytes. The set is built beside ``out_dir`` and moved there when whole.

    Args:
        out_dir (str or Path): Folder of the set.
        slice_splits (Mapping[str, SplitSize]): Splits of the labelled slices.
        lesion_splits (Mapping[str, SplitSize]): Splits of the slices with masks.
        scans (SplitSize): Whole scans; no patients for none.
        size (int): Side of the images in pixels.
        seed (int): Another seed gives other patients.
        overwrite (bool): Replace a phantom set that is there.
        show_progress (bool): Show a progress bar.
        affected_shares (Sequence[float]): Shares of a scan's slices that show lesions, given to
            the scans of a class in turn. Defaults to (): as drawn, on most of them.

    Returns:
        tuple: Number of labelled slices per split, and the converter's totals.

    Raises:
        FileExistsError: ``out_dir`` is not empty, and not a phantom set that
            may be overwritten.
        ValueError: A size is too small.
    """
    _check_sizes((*slice_splits.values(), *lesion_splits.values()), scans, size)
    out_dir = Path(out_dir).absolute()
    _check_target(out_dir, overwrite)
    with atomic_folder(out_dir, overwrite=True) as building:
        jobs = _plan(seed, slice_splits, lesion_splits, scans, affected_shares)
        lists: dict[str, list[str]] = {split: [] for split in slice_splits}
        scan_list = []
        for kind, split, patient, number in track(
            jobs, description='phantom patients', disable=not show_progress
        ):
            if kind == 'slices':
                lists[split] += _write_slices(
                    building, patient, number, slice_splits[split].slices, size
                )
            elif kind == 'lesions':
                _write_lesions(building, patient, number, lesion_splits[split].slices, size)
            else:
                scan_list.append(write_scan(building, patient, number, scans.slices, size))
        options = dict(seed=seed, size=size)
        _write_lists(building / 'covidx_ct', lists, options)
        if scan_list:
            _write_bytes(building / 'scans' / 'scans.txt', ''.join(scan_list).encode('ascii'))
        totals = _annotate(building, jobs, options)
        write_json(
            dict(
                options,
                slice_splits=_plain(slice_splits),
                lesion_splits=_plain(lesion_splits),
                scans=scans._asdict(),
                affected_shares=list(affected_shares),
            ),
            building / 'phantom.json',
        )
    return {split: len(lines) for split, lines in lists.items()}, totals


def _plain(splits: Mapping[str, SplitSize]) -> dict[str, dict]:
    return {name: split_size._asdict() for name, split_size in splits.items()}


def _check_sizes(splits: Sequence[SplitSize], scans: SplitSize, size: int) -> None:
    if size < MIN_SIZE:
        raise ValueError(
            f'an image size of {size} is too small to show lesions; give at least {MIN_SIZE}.'
        )
    for split in splits:
        if min(split) < 1:
            raise ValueError(f'each split needs at least 1 patient and 1 slice, not {split}.')
    if scans.patients < 0 or scans.slices < 1:
        raise ValueError(f'each scan needs at least 1 slice, and there are 0 or more, not {scans}.')


def _check_target(out_dir: Path, overwrite: bool) -> None:
    """Raise if ``out_dir`` holds anything that must not be replaced."""
    found = {path.name for path in out_dir.iterdir()} if out_dir.exists() else set()
    if found and not overwrite:
        raise FileExistsError(f'{out_dir}: not empty. Choose another folder, or pass --overwrite.')
    if found and 'phantom.json' not in found:
        raise FileExistsError(
            f'{out_dir}: not a phantom set (it has no phantom.json), so it is '
            'not overwritten. Choose another folder.'
        )


def _plan(
    seed: int,
    slice_splits: Mapping,
    lesion_splits: Mapping,
    scans: SplitSize,
    affected_shares: Sequence[float],
) -> list[tuple]:
    """List (set, split, patient, patient number), each patient once."""
    numbers = count(1)

    def draw(kind: str, number: int, label: int, place: int) -> Patient:
        patient = draw_patient(seed, number, label)
        if kind == 'scans' and affected_shares:
            return confine_lesions(patient, affected_shares[place % len(affected_shares)])
        return patient

    return [
        (kind, split, draw(kind, number, label, place), number)
        for kind, splits, labels in (
            ('slices', slice_splits, range(len(IMAGE_CLASSES))),
            ('lesions', lesion_splits, LESION_LABELS),
            ('scans', dict(scans=scans), range(len(IMAGE_CLASSES))),
        )
        for split, split_size in splits.items()
        for label in labels
        for place, number in zip(range(split_size.patients), numbers)
    ]


def _write_slices(
    root: Path, patient: Patient, number: int, num_slices: int, size: int
) -> list[str]:
    """Write the labelled slices of a patient; return their lines for the list."""
    lines = []
    for index, level in enumerate(_levels(num_slices)):
        image, _ = render_slice(patient, level, size)
        name = f'{CLASS_NAMES[patient.label]}_{number}_{1000 + number}_{index:04d}.png'
        _write_picture(root / 'covidx_ct' / '2A_images' / name, image)
        x, y, width, height = cv2.boundingRect((image > 150).astype(np.uint8))  # the body
        lines.append(f'{name} {patient.label} {x} {y} {x + width - 1} {y + height - 1}\n')
    return lines


def _write_lesions(root: Path, patient: Patient, number: int, num_slices: int, size: int) -> None:
    """Write images and masks of a patient, the first of several without a lesion."""
    levels = _levels(num_slices - 1)
    for index, level in enumerate([LUNG_ONLY_LEVEL, *levels] if levels else _levels(1)):
        image, mask = render_slice(patient, level, size, with_lesions=level != LUNG_ONLY_LEVEL)
        folder = root / 'ct_lesion_seg'
        _write_picture(folder / 'image' / str(number) / f'{index}.jpg', image)
        _write_picture(folder / 'mask' / str(number) / f'{index}.png', mask)


def write_scan(root: Path, patient: Patient, number: int, num_slices: int, size: int) -> str:
    """Write the scan of a patient, from the feet to the head, and its masks; return its line.

    Slices are drawn one by one: only anatomy and lesions go on from one to the next.
    """
    import SimpleITK as sitk  # here: it takes 95 MB, which trainings do not need

    levels = np.linspace(1, 0, num_slices)
    hu, masks = map(np.stack, zip(*(render_hu(patient, level, size) for level in levels)))
    name = f'{CLASS_NAMES[patient.label]}_{number}.nii.gz'
    for path, array in (
        (root / 'scans' / name, np.rint(hu).clip(*CT_RANGE).astype(np.int16)),
        (root / 'scans' / 'masks' / name, masks),
    ):
        image = sitk.GetImageFromArray(array)
        image.SetSpacing([FIELD_OF_VIEW / size, FIELD_OF_VIEW / size, HEIGHT / num_slices])
        write_image(image, path)
    return f'{name} {patient.label}\n'


def _write_lists(folder: Path, lists: Mapping[str, list[str]], options: dict) -> None:
    """Write the lists of the labelled slices, and the card of the set."""
    files, totals = {}, {}
    for split, lines in lists.items():
        file = folder / f'{split}_phantom.txt'
        _write_bytes(file, ''.join(lines).encode('ascii'))
        names = [line.split()[0] for line in lines]
        counts = count_slices(
            [
                dict(img_path=name, gt_label=parts.label, patient_id=parts.patient_id)
                for name, parts in zip(names, map(parse_slice_name, names))
            ]
        )._asdict()
        del counts['sources']  # the names are like CNCB's, the slices are not
        files[file.stem], totals[file.stem] = file, counts
    write_card(files, totals, PHANTOM, [], options, [PHANTOM])


def _annotate(root: Path, jobs: list[tuple], options: dict) -> dict[str, SplitTotals]:
    """Run the converter of the lesion set on the phantom's."""
    split_of = {str(number): split for kind, split, _, number in jobs if kind == 'lesions'}
    splits: dict[str, list[LesionSlice]] = {}
    for each in list_lesion_slices(root / 'ct_lesion_seg'):
        splits.setdefault(f'lesions_{split_of[each.patient]}', []).append(each)
    return write_lesion_annotations(
        root / 'annotations',
        splits,
        options=options,
        show_progress=False,
        source=PHANTOM,
        collection=PHANTOM,
    )


def _levels(number: int) -> list[float]:
    """Spread slices evenly over the levels that show lesions."""
    first, last = LESION_LEVELS
    return np.linspace(first, last, number + 2)[1:-1].tolist()


def _write_picture(path: Path, image: np.ndarray) -> None:
    _, code = cv2.imencode(path.suffix, image)
    _write_bytes(path, code.tobytes())


def _write_bytes(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
