"""The comparison of label maps as one HTML file, and as Markdown."""

from collections.abc import Mapping, Sequence

from mmcovid.classes import Classes
from mmcovid.reporting.templating import decimals, render
from mmcovid.results import Estimate, LesionReport
from mmcovid.results.lesions import ComparedLesion
from mmcovid.statistics.detection import RATES

from .measure import LESIONS, rate_key

LABELS = {
    'sensitivity': 'sensitivity, all found lesions',
    'ppv': 'PPV',
    'fp_per_scan': 'false positives per scan',
    **{rate_key(rate): f'sensitivity at {rate:g} FP per scan' for rate in RATES},
    'froc_mean': 'mean of these seven',
    'pq': 'panoptic quality',
    'sq': 'SQ: overlap of pairs',
    'rq': 'RQ: F1 of pairs',
    'dice': 'Dice, mean of scans',
    'dice_pooled': 'Dice, all voxels',
    'hd95': 'HD95, mm',
    'assd': 'ASSD, mm',
    'nsd': 'surface Dice',
    'bias': 'bias, ml',
    'limit_low': 'lower limit, ml',
    'limit_high': 'upper limit, ml',
    'ccc': 'concordance (CCC)',
}
DETECTION = ('sensitivity', 'ppv', 'fp_per_scan')
FROC = (*map(rate_key, RATES), 'froc_mean')
PANOPTIC = ('pq', 'sq', 'rq')
OVERLAP = ('dice', 'dice_pooled', 'hd95', 'assd', 'nsd')
VOLUME = ('bias', 'limit_low', 'limit_high', 'ccc')
#: As heads of the columns of a table of them.
_SHORT = {rate_key(rate): f'at {rate:g} FP' for rate in RATES}
#: Rows of missed and of false lesions that the page shows.
_MOST = 10


def render_report(
    report: LesionReport, classes: Classes, plots: Mapping[str, str], title: str
) -> str:
    """Lay a comparison out.

    Args:
        report (LesionReport): The figures.
        classes (Classes): For what readers call them.
        plots (Mapping[str, str]): SVG text by name.
        title (str): Heading of the page.

    Returns:
        str: The HTML page.
    """
    return render(
        'lesions.html',
        title=title,
        report=report,
        classes=classes,
        plots=plots,
        labels=LABELS | _SHORT,
        detection=DETECTION,
        froc=FROC,
        panoptic=PANOPTIC,
        overlap=OVERLAP,
        volume=VOLUME,
        all_lesions=LESIONS,
        targets=_targets(report, classes),
        most=_MOST,
        unmatched=unmatched,
    )


def _targets(report: LesionReport, classes: Classes) -> dict[str, str]:
    """What the page calls each target."""
    first = next(iter(report.models.values()))
    return {
        target: 'lesions together' if target == LESIONS else classes.display(target)
        for target in first.figures
    }


def unmatched(lesions: Sequence[ComparedLesion]) -> list[ComparedLesion]:
    """Lesions without a partner, the largest first."""
    return sorted((each for each in lesions if not each.matched), key=lambda each: -each.ml)


def render_markdown(report: LesionReport, classes: Classes, title: str) -> str:
    """The figures as Markdown tables, a column for each model.

    Args:
        report (LesionReport): The figures.
        classes (Classes): For what readers call them.
        title (str): Heading.
    """
    lines = [
        f'# {title}',
        '',
        f'{report.scans} scans of {report.patients} patients with {report.true_lesions} true '
        f'lesions; 95 % intervals, {report.settings.rounds} resamples of patients.',
        '',
    ]
    for target, name in _targets(report, classes).items():
        lines += [
            f'## {name}',
            '',
            f'| figure | {" | ".join(report.models)} |',
            f'|---|{"---|" * len(report.models)}',
        ]
        of_models = [model.figures[target] for model in report.models.values()]
        for key, label in LABELS.items():
            if any(key in figures for figures in of_models):
                cells = [spell(figures.get(key)) for figures in of_models]
                lines.append(f'| {label} | {" | ".join(cells)} |')
        lines.append('')
    lines += [f'- {note}' for note in report.notes]
    return '\n'.join(lines) + '\n'


def spell(estimate: Estimate | None) -> str:
    """A figure with its interval; † if all resamples give the same."""
    if estimate is None:
        return '–'
    if estimate.value != estimate.value:
        return 'undefined'
    value = decimals(estimate.value, 3)
    if not estimate.has_interval:
        return f'{value} (no interval)'
    if estimate.low == estimate.high:
        return f'{value} (†)'
    return f'{value} ({decimals(estimate.low, 3)} to {decimals(estimate.high, 3)})'
