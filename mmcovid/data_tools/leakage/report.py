"""What an audit found, as a table, a JSON file and pictures."""

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from mmcovid.ct import read_grey
from mmcovid.data_tools.slice_names import UNKNOWN
from mmcovid.drawing.side_panel import caption_strip
from mmcovid.drawing.slices import to_rgb8
from mmcovid.utils.escape import printable
from mmcovid.utils.files import atomic_path, name_some, write_json
from mmcovid.version import __version__

from .audit import KINDS, Audit, Overlap

_TITLES = dict(
    patient='same patient',
    exact='exact duplicate',
    near='near duplicate',
    same_id='same id in two sets',
)
_SIDE = 512  # of a slice in a picture, pixels


def report(audit: Audit, out_dir: str | Path, num_pictures: int = 10) -> None:
    """Print the tables and what they mean; write JSON and pictures.

    Args:
        audit (Audit): What to report.
        out_dir (str or Path): Folder of ``leakage.json`` and ``pairs/``.
        num_pictures (int): At most so many of each kind.
    """
    console = Console(markup=False)  # names of slices may look like it
    for table in make_tables(audit):
        console.print(table)
    write_leakage(audit, out_dir, num_pictures)
    print(printable(f'{verdict(audit)}\nwritten to {out_dir}'))


def make_tables(audit: Audit) -> list[Table]:
    """What was compared, and what was found for each pair of splits."""
    seen = Table(title='splits')
    for title in ('split', 'slices', 'patients', 'of unknown patient', 'unreadable'):
        seen.add_column(title, justify='left' if title == 'split' else 'right')
    for row in _describe_splits(audit):
        seen.add_row(
            row['name'],
            *(
                str(row[key])
                for key in ('num_slices', 'num_patients', 'num_unknown_patient', 'num_unreadable')
            ),
        )

    found = Table(title='in both splits', caption='duplicates: slices of the second split')
    for title in ('first', 'second'):
        found.add_column(title, overflow='fold')
    for kind in KINDS:
        found.add_column(kind.replace('_', ' '), justify='right')
    counts: dict[tuple[str, str], Counter[tuple[str, bool]]] = {}
    for overlap in audit.findings:
        counts.setdefault(overlap.splits, Counter())[overlap.kind, overlap.allowed] += 1
    for splits in audit.compared:
        of = counts.get(splits, Counter())
        found.add_row(*splits, *(_spell(of[kind, False], of[kind, True]) for kind in KINDS))
    return [seen, found]


def verdict(audit: Audit) -> str:
    """What the findings mean, in a few lines."""
    lines = []
    for kind in KINDS:
        for splits in audit.compared:
            names = [
                _name(overlap)
                for overlap in audit.findings
                if (overlap.kind, overlap.splits) == (kind, splits) and not overlap.allowed
            ]
            if names:
                lines.append(f'{_TITLES[kind]} in {splits[0]} and {splits[1]}, {name_some(names)}')
    if any(overlap.kind == 'same_id' for overlap in audit.findings):
        lines.append(
            'an id in two sets may be the same patient or chance: look it up, and if ids '
            'mean the same patients in all sets, run again with --shared-ids'
        )
    if audit.unreadable:
        lines.append(
            'slices that cannot be read, and so were not compared, '
            f'{name_some(list(audit.unreadable))}'
        )
    if audit.leaks:
        lines.append(
            f'LEAKAGE: {len(audit.leaks)} findings. Results on such splits are too good; '
            'take these slices or patients out of one of the two splits.'
        )
    else:
        allowed = sum(overlap.allowed for overlap in audit.findings)
        lines.append('no leakage found' + (f' but {allowed} allowed findings' if allowed else ''))
    return '\n'.join(lines)


def write_leakage(audit: Audit, out_dir: str | Path, num_pictures: int = 10) -> None:
    """Write ``leakage.json`` and the pictures of the worst pairs.

    Args:
        audit (Audit): What to report.
        out_dir (str or Path): Folder for them; pictures that an earlier audit
            left there are replaced.
        num_pictures (int): At most so many of each kind.
    """
    out_dir = Path(out_dir)
    for path in out_dir.glob('pairs/*.png'):
        path.unlink()
    for kind in KINDS:
        worst = sorted(
            (overlap for overlap in audit.findings if overlap.kind == kind),
            key=lambda overlap: (overlap.allowed, -(overlap.similarity or 0)),
        )
        for number, overlap in enumerate(worst[:num_pictures], 1):
            with atomic_path(out_dir / 'pairs' / f'{kind}_{number:02d}.png') as temporary:
                cv2.imwrite(temporary, draw_pair(overlap)[..., ::-1])
    write_json(
        dict(
            mmcovid=__version__,
            leakage=bool(audit.leaks),
            min_similarity=audit.min_similarity,
            splits=_describe_splits(audit),
            findings=[overlap._asdict() for overlap in audit.findings],
            unreadable=audit.unreadable,
        ),
        out_dir / 'leakage.json',
    )


def draw_pair(overlap: Overlap) -> np.ndarray:
    """The two slices of an overlap beside each other, (H, W, 3) RGB."""
    panels = []
    for split, patient, path in zip(overlap.splits, overlap.patients, overlap.slices):
        try:
            picture = to_rgb8(read_grey(path))
            picture = cv2.resize(picture, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
        except Exception:  # of a patient whose first slice is broken: listed as unreadable
            picture = np.zeros((_SIDE, _SIDE, 3), np.uint8)
        panels.append(
            np.vstack(
                [
                    caption_strip(f'{split}, patient {patient}', _SIDE, 14),
                    caption_strip(_short(path), _SIDE, 14),
                    picture,
                ]
            )
        )
    gap = np.full((len(panels[0]), 4, 3), 255, np.uint8)
    title = _TITLES[overlap.kind]
    if overlap.kind == 'near':
        title += f', similarity {overlap.similarity:.3f}'
    both = np.hstack([panels[0], gap, panels[1]])
    return np.vstack([caption_strip(title, both.shape[1], 16), both])


def _describe_splits(audit: Audit) -> list[dict]:
    """Sizes of the splits."""
    described = []
    for split in audit.splits:
        patients = Counter(info.get('patient_id', UNKNOWN) for info in split.slices)
        unknown = patients.pop(UNKNOWN, 0)
        described.append(
            dict(
                name=split.name,
                roles=sorted(split.roles),
                source=split.source,
                num_slices=len(split.slices),
                num_patients=len(patients),
                num_unknown_patient=unknown,
                num_unreadable=sum(info['img_path'] in audit.unreadable for info in split.slices),
            )
        )
    return described


def _spell(count: int, allowed: int) -> str:
    return f'{count} (+{allowed} allowed)' if allowed else str(count)


def _name(overlap: Overlap) -> str:
    """A patient, or the slice of the second split."""
    return (
        overlap.patients[1] if overlap.kind in ('patient', 'same_id') else _short(overlap.slices[1])
    )


def _short(path: str) -> str:
    """A file name and its folder, which is the patient in the lesion set."""
    return '/'.join(Path(path).parts[-2:])
