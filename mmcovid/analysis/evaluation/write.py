"""Write a report: page, tables, figures."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from mmcovid.reporting import save_plots, write_csv
from mmcovid.results import Estimate, EvaluationReport, EvaluationSettings
from mmcovid.results.evaluation import Figures, Subgroup
from mmcovid.utils.files import write_json, write_text

from .checklist import ChecklistItem, fill_checklists
from .gallery import draw_gallery
from .load import Models
from .measure import Results, compute
from .page import render_report, slice_name, title_of
from .plots import draw_all

_INTERVAL = ('value', 'low', 'high')
_DECISION = ('part', 'level', 'model', 'of', 'figure')
_TEMPERATURE = ('temperature', 'nll_before', 'nll_after', 'note', 'file', 'slices')


def write_report(
    models: Models, out: str | Path, settings: EvaluationSettings, validation: Models | None = None
) -> Results:
    """Compute and write a report.

    Written are ``report.html``, ``report.json``, ``figures.csv``, ``differences.csv`` (of
    several models), ``subgroups.csv``, ``temperature.json`` and ``decision_rules.json`` (if asked
    for), ``decisions.csv``, ``checklists.csv``, and ``figures/`` as SVG and PNG. Each is written
    whole or not at all.

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
        if report.prediction_sets:
            write_json(_decision_rules(report), out / 'decision_rules.json')
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
    if report.is_classified:
        write_csv(out / 'decisions.csv', (*_DECISION, *_INTERVAL), _decision_rows(report))
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


def _decision_rules(report: EvaluationReport) -> dict[str, dict]:
    """What :class:`mmcovid.scan_class.DecisionRules` reads, of each model's first run."""
    settings, names = report.settings, report.classes.image_names
    return {
        name: dict(
            temperature=report.calibration[name][0].temperature,
            unit=settings.unit,
            aggregate=settings.aggregate,
            unit_temperature=report.unit_temperature[name],
            prior=dict(zip(names, (each.validation for each in report.prevalence[name]))),
            set_coverage=settings.set_coverage,
            set_thresholds=dict(zip(names, (each.threshold for each in sets.classes))),
            validation_file=report.calibration[name][0].file,
            validation_patients=dict(zip(names, (each.patients for each in sets.classes))),
        )
        for name, sets in report.prediction_sets[settings.unit].items()
    }


def _decision_rows(report: EvaluationReport) -> Iterator[dict]:
    """A row for each figure of what decisions lead to."""
    for *where, estimate in _decision_figures(report):
        yield dict(zip(_DECISION, where)) | _take(estimate, _INTERVAL)


def _decision_figures(
    report: EvaluationReport,
) -> Iterator[tuple[str, str, str, str, str, Estimate]]:
    """Figures, each behind what :data:`_DECISION` names."""
    names, unit = report.classes.image_names, report.settings.unit
    for level, risks in report.selective_risk.items():
        for model, risk in risks.items():
            yield 'selective risk', level, model, '', 'aurc', risk.aurc
    for model, found in report.prevalence.items():
        for name, share in zip(names, found):
            for figure in ('predicted', 'by_counts', 'by_em'):
                yield 'prevalence', unit, model, name, figure, getattr(share, figure)
    for model, values in report.predictive_values.items():
        for scores in ('as_predicted', 'corrected'):
            for figure, estimate in (getattr(values, scores) or {}).items():
                yield f'at the stated prevalence, {scores}', unit, model, '', figure, estimate
    for outcome, curves in report.net_benefit.items():
        for model, curve in curves.items():
            for point in curve:
                for figure in ('net_benefit', 'gain'):
                    at = f'{figure} at {point.threshold:g}'
                    yield 'decision curve', unit, model, outcome, at, getattr(point, figure)
    for level, by_model in report.prediction_sets.items():
        for model, sets in by_model.items():
            for name, own in zip(names, sets.classes):
                yield 'prediction sets', level, model, name, 'coverage', own.coverage
            for figure in ('size', 'single', 'empty'):
                yield 'prediction sets', level, model, '', figure, getattr(sets, figure)


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
