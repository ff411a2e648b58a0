"""Write a report: page, tables, figures."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from mmcovid.reporting import save_plots, write_csv
from mmcovid.results import EvaluationReport, EvaluationSettings
from mmcovid.results.evaluation import Figures, Subgroup
from mmcovid.utils.files import write_json, write_text

from .checklist import ChecklistItem, fill_checklists
from .gallery import draw_gallery
from .load import Models
from .measure import Results, compute
from .page import render_report, slice_name, title_of
from .plots import draw_all

_INTERVAL = ('value', 'low', 'high')
_TEMPERATURE = ('temperature', 'nll_before', 'nll_after', 'note', 'file', 'slices')


def write_report(
    models: Models, out: str | Path, settings: EvaluationSettings, validation: Models | None = None
) -> Results:
    """Compute and write a report.

    Written are ``report.html``, ``report.json``, ``figures.csv``, ``differences.csv`` (of
    several models), ``subgroups.csv`` and ``temperature.json`` (if asked for),
    ``checklists.csv``, and ``figures/`` as SVG and PNG. Each is written whole or not at all.

    Args:
        models (Models): Predictions; see :func:`~.load.load_models`.
        out (str | Path): Folder to write to.
        settings (EvaluationSettings): What to compute.
        validation (Models, optional): Predictions to fit temperatures on. Defaults to None.

    Returns:
        Results: What was written.
    """
    out, results = Path(out), compute(models, settings, validation)
    report = results.report
    gallery = draw_gallery(report, models)
    if gallery.unread:
        report.notes.append(f'{gallery.unread} images of the galleries of errors cannot be read.')
    plots = save_plots(draw_all(results), out / 'figures')
    checklists = fill_checklists(report)
    write_tables(report, checklists, out)
    if validation:
        write_json(_temperatures(report), out / 'temperature.json')
    write_json(_without_folders(report), out / 'report.json')
    write_text(
        render_report(report, gallery, plots, checklists, title_of(out)), out / 'report.html'
    )
    return results


def _without_folders(report: EvaluationReport) -> EvaluationReport:
    """A report that calls slices and files as its page does, without the folders of the machine."""

    def rename(errors: dict[str, list[Any]]) -> dict[str, list[Any]]:
        return {
            model: [replace(error, path=slice_name(error) if error.path else '') for error in found]
            for model, found in errors.items()
        }

    settings = report.settings
    return replace(
        report,
        settings=replace(
            settings,
            metadata=settings.metadata and Path(settings.metadata).name,
            image_root=Path(settings.image_root).name,
        ),
        errors=rename(report.errors),
        lesion_errors=rename(report.lesion_errors),
    )


def write_tables(report: EvaluationReport, checklists: list[ChecklistItem], out: Path) -> None:
    """Write the CSV tables of a report.

    Args:
        report (EvaluationReport): The figures.
        checklists (list[ChecklistItem]): What the figures answer.
        out (Path): Folder to write to.
    """
    where = ('level', 'model', 'figure')
    of_runs = (*_INTERVAL, 'sd_of_runs')
    write_csv(out / 'figures.csv', (*where, *of_runs), _rows(report.figures, of_runs))
    if report.is_compared:
        write_csv(
            out / 'differences.csv',
            (*where, *_INTERVAL, 'reference'),
            (
                row | dict(reference=report.reference)
                for row in _rows(report.differences, _INTERVAL)
            ),
        )
    if report.subgroups:
        write_csv(
            out / 'subgroups.csv',
            ('column', 'group', 'slices', 'patients', 'model', 'figure', *_INTERVAL),
            _subgroup_rows(report.subgroups),
        )
    write_csv(
        out / 'checklists.csv',
        [column.name for column in fields(ChecklistItem)],
        map(asdict, checklists),
    )


def _temperatures(report: EvaluationReport) -> dict[str, list[dict]]:
    """The temperature of every run, with what it was fitted on."""
    return {
        name: [_take(run, _TEMPERATURE) for run in runs]
        for name, runs in report.calibration.items()
    }


def _rows(levels: dict[str, dict[str, Figures]], columns: Sequence[str]) -> Iterator[dict]:
    """A row for each figure, with these attributes of its estimate."""
    for level, models in levels.items():
        for model, figures in models.items():
            for figure, estimate in figures.items():
                yield dict(level=level, model=model, figure=figure, **_take(estimate, columns))


def _subgroup_rows(columns: dict[str, dict[str, Subgroup]]) -> Iterator[dict]:
    for column, groups in columns.items():
        for group, subgroup in groups.items():
            for model, figures in subgroup.figures.items():
                for figure, estimate in figures.items():
                    yield dict(
                        column=column,
                        group=group,
                        slices=subgroup.slices,
                        patients=subgroup.patients,
                        model=model,
                        figure=figure,
                        **_take(estimate, _INTERVAL),
                    )


def _take(value: Any, columns: Sequence[str]) -> dict:
    return {column: getattr(value, column) for column in columns}
