"""One table of the figures of several systems, as Markdown and as CSV."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from mmcovid.classes import IMAGE_CLASSES, LESION_CLASSES, Classes
from mmcovid.reporting import write_csv
from mmcovid.reporting.results_table import MEANS
from mmcovid.utils.escape import markdown
from mmcovid.utils.files import write_text

# Figures as the metrics name them, and what the readable table calls them.
_BEFORE_CLASSES = {
    'parameters': 'parameters',
    # masks of lesions by two rulers: of each slice, as in the author's releases, and COCO's
    'per_image/segm_mAP': 'mAP per slice',
    'per_image/segm_mAP_50': 'AP50 per slice',
    'per_image/segm_mAP_75': 'AP75 per slice',
    'coco/segm_mAP': 'COCO mAP',
    'coco/segm_mAP_50': 'COCO AP50',
    'coco/segm_mAP_75': 'COCO AP75',
}
_AFTER_CLASSES = {
    'image/accuracy': 'accuracy',
    'image/weighted_f1': 'weighted F1',
    'iterations': 'iterations',
    'train_seconds': 'training time',
}
_LESION_AP = re.compile(r'coco/segm_(.+)_precision')
_SENSITIVITY = re.compile(r'image/(.+)_sensitivity')
#: Columns are narrow: there classes have short names, in small letters within a phrase.
_SHORT_NAMES = {
    'lung': 'lung',
    'consolidation': 'consolidation',
    'lesion': 'lesion',
    'normal': 'normal',
    'cp': 'CP',
}


@dataclass(frozen=True)
class ComparisonRow:
    """One training of a system."""

    system: str
    status: str
    seed: int | None = None  #: of the training, if it is one of several
    #: By names of metrics, with ``parameters``, ``iterations`` and ``train_seconds``; what is
    #: undefined is None or nan. Those without a column may be of any type
    figures: Mapping[str, Any] = field(default_factory=dict)


def columns_of(rows: Iterable[ComparisonRow]) -> dict[str, str]:
    """The figures of the table, and their titles.

    Systems need not have the same lesion classes, over which the means are taken: hence a column
    for each class that a system has.

    Args:
        rows (Iterable[ComparisonRow]): Trainings.

    Returns:
        dict[str, str]: Titles by name of the figure.
    """
    names = list(dict.fromkeys(name for row in rows for name in row.figures))
    lesions = _found(_LESION_AP, names, LESION_CLASSES)
    images = _found(_SENSITIVITY, names, IMAGE_CLASSES[::-1])  # diseases first
    classes = Classes.of(lesions, images, display_names=_SHORT_NAMES)
    return (
        _BEFORE_CLASSES
        | {f'coco/segm_{name}_precision': f'COCO mAP, {classes.display(name)}' for name in lesions}
        | {f'image/{name}_sensitivity': f'{classes.display(name)} sensitivity' for name in images}
        | _AFTER_CLASSES
    )


def write_comparison(rows: Sequence[ComparisonRow], stem: Path) -> None:
    """Write the table to ``<stem>.md``, rounded, and to ``<stem>.csv``, each training as measured.

    Args:
        rows (Sequence[ComparisonRow]): Trainings.
        stem (Path): Path of the files without their suffix.
    """
    columns = columns_of(rows)
    write_text(format_comparison(rows) + '\n', stem.with_suffix('.md'))
    write_csv(
        stem.with_suffix('.csv'),
        ['system', 'seed', *columns, 'status'],
        [
            dict(system=row.system, seed=row.seed, status=row.status)
            | {key: _measured(row.figures[key]) if key in row.figures else '-' for key in columns}
            for row in rows
        ],
    )


def format_comparison(rows: Sequence[ComparisonRow]) -> str:
    """Lay the trainings out as a Markdown table, one row a system.

    Of several trainings it has the mean and the standard deviation between them. A figure that a
    system does not have is ``-``, one that the set leaves undefined ``undefined``.
    """
    columns = columns_of(rows)
    lines = [['system', *columns.values(), 'status'], ['---', *['---:'] * len(columns), '---']]
    systems: dict[str, list[ComparisonRow]] = {}
    for row in rows:
        systems.setdefault(row.system, []).append(row)
    for name, runs in systems.items():
        figures = [run.figures for run in runs]
        lines.append([name, *(_summary(figures, key) for key in columns), _status(runs)])
    return '\n'.join(
        f'| {" | ".join(markdown(cell).replace("|", "/") for cell in line)} |' for line in lines
    )


def _found(pattern: re.Pattern, figures: Iterable[str], first: Sequence[str]) -> list[str]:
    """Classes that figures are of: the usual ones in the order of ``first``, then the others."""
    names = [
        match[1] for match in map(pattern.fullmatch, figures) if match and match[1] not in MEANS
    ]
    return sorted(names, key=lambda name: first.index(name) if name in first else len(first))


def _summary(runs: Sequence[Mapping[str, Any]], key: str) -> str:
    """A figure of the trainings that define it: as it is if all agree, or mean and deviation."""
    known = [run[key] for run in runs if run.get(key) is not None and not math.isnan(run[key])]
    if not known:
        return 'undefined' if any(key in run for run in runs) else '-'
    if len(known) == 1 or len(set(known)) == 1 and isinstance(known[0], int):
        return _readable(key, known[0])
    return f'{_readable(key, mean(known))} ± {_readable(key, stdev(known))}'


def _status(runs: Sequence[ComparisonRow]) -> str:
    """Status of the trainings, those that are equal once."""
    counts = Counter(run.status for run in runs)
    return '; '.join(
        status if len(runs) == 1 else f'{count} {status}' for status, count in counts.items()
    )


def _measured(value: float | None) -> str:
    return 'undefined' if value is None or math.isnan(value) else str(value)


def _readable(key: str, value: float) -> str:
    if key == 'train_seconds':
        return str(timedelta(seconds=round(value)))
    return f'{value:,}' if isinstance(value, int) else f'{value:.3f}'
