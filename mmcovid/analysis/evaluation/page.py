"""The report as one HTML file that needs nothing else."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from mmcovid.classes import NamedClass
from mmcovid.reporting.templating import render
from mmcovid.results import EvaluationReport
from mmcovid.results.evaluation import ClassError, LesionError
from mmcovid.statistics.classification import CLASS_FIGURES

from .checklist import ChecklistItem, spell_software
from .gallery import Gallery

LABELS = {
    'accuracy': 'accuracy',
    'macro_f1': 'macro F1',
    'weighted_f1': 'weighted F1',
    'macro_auroc': 'macro AUROC',
    'sensitivity': 'sensitivity',
    'specificity': 'specificity',
    'ppv': 'PPV',
    'npv': 'NPV',
    'f1': 'F1',
    'auroc': 'AUROC',
    'auprc': 'AUPRC',
    'brier': 'Brier score',
    'ece': 'ECE',
    'nll': 'negative log-likelihood',
    'mAP': 'COCO AP',
    'mAP_50': 'COCO AP50',
    'mAP_75': 'COCO AP75',
    'per_image_mAP': 'AP per slice',
    'per_image_mAP_50': 'AP50 per slice',
    'per_image_mAP_75': 'AP75 per slice',
    'ap': 'COCO AP',
    'ap50': 'COCO AP50',
    'dice': 'Dice, mean of slices',
    'dice_pooled': 'Dice, all pixels',
}
#: Figures of all classes together, and of each class, that the section of a level shows.
HEADLINES = ('accuracy', 'macro_f1', 'weighted_f1', 'macro_auroc')
LESION_HEADLINES = (
    'mAP',
    'mAP_50',
    'mAP_75',
    'per_image_mAP',
    'per_image_mAP_50',
    'per_image_mAP_75',
)
LESION_FIGURES = ('ap', 'ap50', 'dice', 'dice_pooled')
#: Figures of the summary.
SUMMARY, LESION_SUMMARY = ('accuracy', 'macro_auroc'), ('mAP', 'mAP_50', 'per_image_mAP')
#: Figures of each class that models are compared by, beside the headlines.
COMPARED, LESION_COMPARED = ('sensitivity', 'specificity', 'auroc'), ('ap50', 'dice')


def render_report(
    report: EvaluationReport,
    gallery: Gallery,
    plots: Mapping[str, str],
    checklists: Sequence[ChecklistItem],
    title: str,
) -> str:
    """Lay the report out.

    Args:
        report (EvaluationReport): The figures.
        gallery (Gallery): Pictures of its errors.
        plots (Mapping[str, str]): SVG text by name.
        checklists (Sequence[ChecklistItem]): Of :func:`~.checklist.fill_checklists`.
        title (str): Heading of the page.

    Returns:
        str: The HTML page.
    """
    return render(
        'evaluation.html',
        title=title,
        report=report,
        settings=report.settings,
        classes=report.classes,
        gallery=gallery,
        plots=plots,
        checklists=checklists,
        software=spell_software(),
        summary_columns=_summary_columns(report),
        comparisons=_comparisons(report),
        labels=LABELS,
        headlines=HEADLINES,
        class_figures=CLASS_FIGURES,
        lesion_headlines=LESION_HEADLINES,
        lesion_figures=LESION_FIGURES,
        slice_name=slice_name,
    )


def slice_name(error: ClassError | LesionError) -> str:
    """What a page calls a slice; in the lesion set the folder is the patient."""
    return '/'.join(Path(error.path).parts[-2:]) or error.id


def title_of(path: str | Path) -> str:
    """Heading of a report, from the folder it is written to."""
    return f'Evaluation: {Path(path).resolve().name}'


def _summary_columns(report: EvaluationReport) -> list[tuple[str, str]]:
    """Level and figure of each column of the summary."""
    return [
        (level, key)
        for level in report.figures
        for key in (LESION_SUMMARY if level == 'lesion' else SUMMARY)
    ]


def _comparisons(report: EvaluationReport) -> list[tuple[list[tuple[str, str]], dict[str, str]]]:
    """Tables of differences: model and level of each column, and the rows' labels by figure."""
    columns = [(name, level) for level, models in report.differences.items() for name in models]
    tables = [
        (
            [(name, level) for name, level in columns if level != 'lesion'],
            _label(HEADLINES, report.classes.images, COMPARED),
        ),
        (
            [(name, level) for name, level in columns if level == 'lesion'],
            _label(LESION_HEADLINES, report.classes.lesions, LESION_COMPARED),
        ),
    ]
    return [(columns, rows) for columns, rows in tables if columns]


def _label(
    headlines: Sequence[str], classes: Sequence[NamedClass], per_class: Sequence[str]
) -> dict[str, str]:
    """What a page calls figures of all classes together and of each class."""
    return {key: LABELS[key] for key in headlines} | {
        f'{named.name}_{key}': f'{named.display_name}: {LABELS[key]}'
        for named in classes
        for key in per_class
    }
