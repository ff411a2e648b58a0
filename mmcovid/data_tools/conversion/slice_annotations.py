"""From lists of slices with classes to annotation JSON."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from mmcovid.classes import IMAGE_CLASSES
from mmcovid.ct import check_picture
from mmcovid.data_tools.slice_lists import SliceEntry
from mmcovid.data_tools.slice_names import UNKNOWN, slice_source
from mmcovid.results import Failure
from mmcovid.utils.files import atomic_path, name_some
from mmcovid.utils.parallel import map_files

from .dataset_card import LICENCES, relative_root, write_annotations


class SliceTotals(NamedTuple):
    """What went into one JSON."""

    slices: int
    classes: dict  #: slices per class
    patients: dict  #: known patients per class
    without_patient: int  #: slices whose name tells no patient
    sources: dict  #: slices per collection that COVIDx-CT took them from, and class


def write_slice_annotations(
    out_dir: str | Path,
    splits: Mapping[str, Sequence[SliceEntry]],
    images: str | Path,
    source: str = 'COVIDx-CT',
    crop: bool = False,
    lists: Sequence[str | Path] = (),
    options: Mapping | None = None,
    dry_run: bool = False,
    workers: int = 1,
    show_progress: bool = True,
) -> dict[str, SliceTotals]:
    """Write one JSON per split that ``SliceDataset`` reads, and a card of the set, all or none.

    The same input gives the same bytes.

    Args:
        out_dir (str or Path): Where to write ``<split>.json``.
        splits (Mapping[str, Sequence[SliceEntry]]): Slices per split.
        images (str or Path): Folder that their names refer to.
        source (str): Name of the set, for the card.
        crop (bool): Write the images, cut to their boxes, to ``out_dir/images``
            as PNG, and refer to these.
        lists (Sequence[str or Path]): List files, for the card.
        options (Mapping, optional): More options for the card.
        dry_run (bool): Read and count, but write nothing.
        workers (int): Number of threads that read images.
        show_progress (bool): Show a progress bar.

    Returns:
        dict[str, SliceTotals]: What went into each JSON.

    Raises:
        ValueError: Images cannot be read, or a box is missing or not within
            its image; all such files are counted.
    """
    out_dir, images = Path(out_dir), Path(images)
    target = out_dir / 'images' if crop else images
    if crop and target.resolve() == images.resolve():
        raise ValueError(f'{images}: would be overwritten by the cut images. Choose another --out.')
    entries = list(dict.fromkeys(each for members in splits.values() for each in members))
    if crop and len({_as_png(each.name) for each in entries}) < len(entries):
        raise ValueError(
            'slices whose names differ in their suffix only would overwrite each '
            'other when cut. Rename them.'
        )
    read = partial(
        _read_slice, images=images, target=target if crop and not dry_run else None, crop=crop
    )
    results = map_files(read, entries, 'slices', workers, show_progress)
    problems = [
        f'{result.input}: {result.reason}' for result in results if isinstance(result, Failure)
    ]
    if problems:
        raise ValueError(
            f'slices that cannot be used, {name_some(problems)}. Copy them again, or correct or '
            'remove their lines.'
        )

    infos = dict(zip(entries, results))
    metainfo = dict(
        classes=IMAGE_CLASSES,
        source=source,
        image_root=relative_root(target, out_dir),
        cropped=crop,
    )
    contents: dict[str, dict[str, Any]] = {
        name: dict(metainfo=metainfo, data_list=[infos[each] for each in members])
        for name, members in splits.items()
    }
    totals = {name: count_slices(content['data_list']) for name, content in contents.items()}
    if not dry_run:
        # the names of COVIDx-CT tell the collections that it was made of, others tell none
        found = {name for each in totals.values() for name in each.sources}
        write_annotations(
            out_dir,
            contents,
            {name: each._asdict() for name, each in totals.items()},
            source,
            lists,
            dict(options or {}, crop=crop),
            [source] if source in LICENCES else sorted(found),
        )
    return totals


def count_slices(data_list: Sequence[dict]) -> SliceTotals:
    """Totals of the ``data_list`` of an annotation JSON."""
    classes = Counter(dict.fromkeys(IMAGE_CLASSES, 0))
    patients: dict[str, set[str]] = {name: set() for name in IMAGE_CLASSES}
    sources: dict[str, Counter[str]] = {}
    without_patient = 0
    for each in data_list:
        name = IMAGE_CLASSES[each['gt_label']]
        classes[name] += 1
        if each['patient_id'] == UNKNOWN:
            without_patient += 1
        else:
            patients[name].add(each['patient_id'])
        sources.setdefault(slice_source(each['img_path']), Counter())[name] += 1
    return SliceTotals(
        slices=len(data_list),
        classes=dict(classes),
        patients={name: len(found) for name, found in patients.items()},
        without_patient=without_patient,
        sources={name: dict(sorted(counts.items())) for name, counts in sorted(sources.items())},
    )


def format_slice_totals(totals: Mapping[str, SliceTotals]) -> str:
    """Lay totals out as lines to print."""
    lines = []
    for name, total in totals.items():
        lines.append(f'{name}: {total.slices} slices, {total.without_patient} of unknown patients')
        lines += [
            f'  {cls}: {number} slices of {total.patients[cls]} known patients'
            for cls, number in total.classes.items()
        ]
        if len(total.sources) > 1:  # a model can tell classes by their source
            lines += [
                f'  from {source}: ' + ', '.join(f'{n} {cls}' for cls, n in counts.items())
                for source, counts in total.sources.items()
            ]
    return '\n'.join(lines)


def _read_slice(entry: SliceEntry, images: Path, target: Path | None, crop: bool) -> dict | Failure:
    """The JSON entry of a slice, which is cut and written if told to, or a failure."""
    path = images / entry.name
    try:
        height, width = check_picture(path)
        with Image.open(path) as image:
            if entry.box or crop:
                left, top, right, bottom = _check_box(entry.box, width, height)
            if crop:
                width, height = right - left, bottom - top
            if target is not None:
                _write_png(image.crop(entry.box), target / _as_png(entry.name))
    except (OSError, SyntaxError, ValueError) as error:  # a broken PNG is a SyntaxError to PIL
        return Failure(str(path), str(error))
    return dict(
        img_path=_as_png(entry.name) if crop else entry.name,
        gt_label=entry.label,
        patient_id=entry.patient,
        scan_id=entry.scan,
        width=width,
        height=height,
        # the box is of the image as it was
        **{'cut_to' if crop else 'box': entry.box} if entry.box else {},
    )


def _check_box(
    box: tuple[int, int, int, int] | None, width: int, height: int
) -> tuple[int, int, int, int]:
    """The box; ends are exclusive, as COVIDx-CT's own code takes them."""
    if box is None:
        raise ValueError('its line has no box to cut to')
    left, top, right, bottom = box
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        raise ValueError(f'the box {list(box)} is not within the image of {width}x{height}')
    return box


def _as_png(name: str) -> str:
    return f'{name.rpartition(".")[0] or name}.png'


def _write_png(image: Image.Image, path: Path) -> None:
    with atomic_path(path) as temporary:
        image.save(temporary)
