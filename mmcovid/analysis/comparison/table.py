"""One table of the figures of several systems, as Markdown and as CSV."""
import csv
import math
from collections import Counter
from datetime import timedelta
from pathlib import Path
from statistics import mean, stdev

from mmcovid.utils.files import atomic_path, write_text

# Figures as the metrics name them, and what the readable table calls them.
COLUMNS = {
    'parameters': 'parameters',
    # masks of lesions by two rulers: of each slice, as in the author's releases, and COCO's
    'per_image/segm_mAP': 'mAP per slice',
    'per_image/segm_mAP_50': 'AP50 per slice',
    'per_image/segm_mAP_75': 'AP75 per slice',
    'coco/segm_mAP': 'COCO mAP',
    'coco/segm_mAP_50': 'COCO AP50',
    'coco/segm_mAP_75': 'COCO AP75',
    # systems need not have the same lesion classes, over which the above are taken
    'coco/segm_lung_precision': 'COCO mAP, lung',
    'coco/segm_ggo_precision': 'COCO mAP, GGO',
    'coco/segm_consolidation_precision': 'COCO mAP, consolidation',
    'image/covid19_sensitivity': 'COVID-19 sensitivity',
    'image/cp_sensitivity': 'CP sensitivity',
    'image/normal_sensitivity': 'normal sensitivity',
    'image/accuracy': 'accuracy',
    'image/weighted_f1': 'weighted F1',
    'iterations': 'iterations',
    'train_seconds': 'training time',
}


def write_comparison(rows: list[dict], stem: Path) -> None:
    """Write the table to ``<stem>.md``, rounded, and to ``<stem>.csv``, each training as measured.

    Args:
        rows (list[dict]): For each training its ``system`` (name), ``seed`` if it is one of
            several of this system, ``status`` and those figures of :data:`COLUMNS` that it has; an
            undefined figure is ``None``.
        stem (Path): Path of the files without their suffix.
    """
    write_text(format_comparison(rows) + '\n', stem.with_suffix('.md'))
    with (atomic_path(stem.with_suffix('.csv')) as temporary,
          open(temporary, 'w', encoding='utf-8', newline='') as file):
        writer = csv.writer(file)
        writer.writerow(['system', 'seed', *COLUMNS, 'status'])
        for row in rows:
            figures = [_measured(row[key]) if key in row else '-' for key in COLUMNS]
            writer.writerow([row['system'], row.get('seed'), *figures, row['status']])


def format_comparison(rows: list[dict]) -> str:
    """Lay the rows of :func:`write_comparison` out as a Markdown table, one row a system.

    Of several trainings it has the mean and the standard deviation between them. A figure that a
    system does not have is ``-``, one that the set leaves undefined ``undefined``.
    """
    lines = [['system', *COLUMNS.values(), 'status'], ['---', *['---:'] * len(COLUMNS), '---']]
    systems: dict[str, list[dict]] = {}
    for row in rows:
        systems.setdefault(row['system'], []).append(row)
    for name, runs in systems.items():
        lines.append([name, *(_summary(runs, key) for key in COLUMNS), _status(runs)])
    return '\n'.join(
        f'| {" | ".join(cell.replace("|", "/") for cell in line)} |' for line in lines)


def _summary(runs: list[dict], key: str) -> str:
    """A figure of the trainings that define it: as it is if all agree, or mean and deviation."""
    known = [run[key] for run in runs if run.get(key) is not None and not math.isnan(run[key])]
    if not known:
        return 'undefined' if any(key in run for run in runs) else '-'
    if len(known) == 1 or len(set(known)) == 1 and isinstance(known[0], int):
        return _readable(key, known[0])
    return f'{_readable(key, mean(known))} ± {_readable(key, stdev(known))}'


def _status(runs: list[dict]) -> str:
    """Status of the trainings, those that are equal once."""
    counts = Counter(run['status'] for run in runs)
    return '; '.join(status if len(runs) == 1 else f'{count} {status}'
                     for status, count in counts.items())


def _measured(value: float | None) -> str:
    return 'undefined' if value is None or math.isnan(value) else str(value)


def _readable(key: str, value: float) -> str:
    if key == 'train_seconds':
        return str(timedelta(seconds=round(value)))
    return f'{value:,}' if isinstance(value, int) else f'{value:.3f}'
