"""From pairs of images and masks to COCO JSON."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mmcovid.ct import check_picture
from mmcovid.results import Failure
from mmcovid.utils.files import name_some
from mmcovid.utils.parallel import map_files

from .dataset_card import relative_root, write_annotations
from .lesion_files import LesionSlice, natural
from .lesion_masks import CLASS_VALUES, MERGED_CLASS_VALUES, find_instances, read_mask


class SplitTotals(NamedTuple):
    """What went into one JSON."""

    slices: int
    patients: int
    without_lesion: int
    empty: int  #: slices whose mask shows nothing, no lung either
    instances: dict  #: number per class
    too_small: dict  #: components left out for their size, per class
    slices_with: dict  #: slices that show the class, per class
    patients_with: dict  #: patients in whom it is shown, per class
    areas: dict  #: smallest, median and largest instance in pixels, per class


def write_lesion_annotations(
    out_dir: str | Path,
    splits: Mapping[str, Sequence[LesionSlice]],
    min_area: int = 100,
    merge_lesions: bool = False,
    lists: Sequence[str | Path] = (),
    options: Mapping | None = None,
    dry_run: bool = False,
    workers: int = 1,
    show_progress: bool = True,
    source: str = 'CNCB-NCOV lesions',
    collection: str = 'CNCB',
) -> dict[str, SplitTotals]:
    """Write one COCO JSON per split and a card of the set, all or none.

    The same input gives the same bytes.

    Args:
        out_dir (str or Path): Where to write ``<split>.json``.
        splits (Mapping[str, Sequence[LesionSlice]]): Slices per split.
        min_area (int): See :func:`find_instances`.
        merge_lesions (bool): One class ``lesion`` of GGO and consolidation.
        lists (Sequence[str or Path]): Split files, for the card.
        options (Mapping, optional): More options for the card.
        dry_run (bool): Read and count, but write nothing.
        workers (int): Number of threads that read masks.
        show_progress (bool): Show a progress bar.
        source (str): Name of the set, for the card.
        collection (str): What the card tells the licence by.

    Returns:
        dict[str, SplitTotals]: What went into each JSON.

    Raises:
        ValueError: Masks cannot be read, differ from their image in size, or
            have values other than 0 to 3; all such files are counted.
    """
    class_values = MERGED_CLASS_VALUES if merge_lesions else CLASS_VALUES
    # numbered over all splits, so that an id means the same slice in every JSON
    slices = sorted(
        {each for members in splits.values() for each in members},
        key=lambda each: natural(each.key),
    )
    read = partial(_read_slice, class_values=class_values, min_area=min_area)
    results = map_files(read, slices, 'masks', workers, show_progress)
    problems = [
        f'{result.input}: {result.reason}' for result in results if isinstance(result, Failure)
    ]
    if problems:
        raise ValueError(
            f'slices that cannot be used, {name_some(problems)}. Replace the masks by the '
            'published ones (size of the image; 0 background, 1 lung, 2 GGO, 3 consolidation).'
        )

    if not slices:
        raise ValueError('the splits hold no slice.')
    entries = {
        each: (dict(id=number, **image), *found)
        for number, (each, (image, *found)) in enumerate(zip(slices, results), 1)
    }
    info = dict(
        description='CT lesions by mmcovid',
        min_area=min_area,
        image_root=relative_root(_root_of(slices[0].image), out_dir),
        mask_root=relative_root(_root_of(slices[0].mask), out_dir),
    )
    contents, totals = {}, {}
    for name, members in splits.items():
        contents[name], totals[name] = _assemble(
            [entries[each] for each in members], class_values, info
        )
    if not dry_run:
        options = dict(options or {}, min_area=min_area, merge_lesions=merge_lesions)
        write_annotations(
            out_dir,
            contents,
            {name: each._asdict() for name, each in totals.items()},
            source,
            lists,
            options,
            [collection],
        )
    return totals


def format_totals(totals: Mapping[str, SplitTotals]) -> str:
    """Lay totals out as lines to print."""
    lines = []
    for name, total in totals.items():
        lines.append(
            f'{name}: {total.slices} slices of {total.patients} patients, '
            f'{total.without_lesion} without a lesion, {total.empty} without lung'
        )
        for cls, number in total.instances.items():
            areas = ''
            if number:
                smallest, median, largest = total.areas[cls]
                areas = f', {smallest} to {largest} pixels (median {median:g})'
            lines.append(
                f'  {cls}: {number} instances in {total.slices_with[cls]} slices of '
                f'{total.patients_with[cls]} patients{areas}; '
                f'{total.too_small[cls]} left out as too small'
            )
    return '\n'.join(lines)


def _read_slice(pair: LesionSlice, class_values: Mapping, min_area: int) -> tuple | Failure:
    """The COCO entry of a slice, its annotations and what was too small, or a failure."""
    try:
        height, width = check_picture(pair.image)
    except (OSError, ValueError) as error:
        return Failure(str(pair.image), str(error))
    try:
        mask = read_mask(pair.mask)
        if mask.shape != (height, width):
            raise ValueError(f'is of shape {mask.shape}, its image of {(height, width)}')
    except (OSError, SyntaxError, ValueError) as error:  # a broken PNG is a SyntaxError to PIL
        return Failure(str(pair.mask), str(error))
    image = dict(
        file_name=_below_root(pair.image),
        mask_file_name=_below_root(pair.mask),
        width=width,
        height=height,
        patient_id=pair.patient,
    )
    return image, *find_instances(mask, class_values, min_area)


def _assemble(
    entries: Sequence[tuple], class_values: Mapping, info: dict
) -> tuple[dict, SplitTotals]:
    """Make a COCO dict and its totals of (image, annotations, too small)."""
    names = list(class_values)
    annotations: list[dict] = []
    areas: dict[str, list[int]] = {name: [] for name in names}
    slices_with, too_small = Counter(dict.fromkeys(names, 0)), Counter(dict.fromkeys(names, 0))
    patients_with: dict[str, set[str]] = {name: set() for name in names}
    without_lesion = empty = 0
    for image, found, small in entries:
        for annotation in found:
            annotations.append(dict(id=len(annotations) + 1, image_id=image['id'], **annotation))
            areas[names[annotation['category_id'] - 1]].append(annotation['area'])
        shown = {names[annotation['category_id'] - 1] for annotation in found}
        for name in shown:
            slices_with[name] += 1
            patients_with[name].add(image['patient_id'])
        without_lesion += shown <= {names[0]}
        empty += not found and not small
        too_small.update(small)
    coco = dict(
        info=info,
        categories=[dict(id=number, name=name) for number, name in enumerate(names, 1)],
        images=[image for image, _, _ in entries],
        annotations=annotations,
    )
    return coco, SplitTotals(
        slices=len(entries),
        patients=len({image['patient_id'] for image in coco['images']}),
        without_lesion=without_lesion,
        empty=empty,
        instances={name: len(found) for name, found in areas.items()},
        too_small=dict(too_small),
        slices_with=dict(slices_with),
        patients_with={name: len(found) for name, found in patients_with.items()},
        areas={
            name: [min(found), float(np.median(found)), max(found)] if found else None
            for name, found in areas.items()
        },
    )


def _root_of(path: Path) -> Path:
    """The folder ``image/`` or ``mask/`` that holds a file, in either layout."""
    return path.parent if path.parent.name in ('image', 'mask') else path.parents[1]


def _below_root(path: Path) -> str:
    return path.relative_to(_root_of(path)).as_posix()
