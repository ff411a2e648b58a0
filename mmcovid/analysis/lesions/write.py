"""Write a comparison of label maps: page, Markdown, tables, plots."""

from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from mmcovid.classes import Classes
from mmcovid.reporting import save_plots, write_csv
from mmcovid.results import LesionReport
from mmcovid.results.evaluation import Figures
from mmcovid.results.lesions import ComparedLesion, TargetFigures
from mmcovid.utils.files import write_json, write_text

from .page import render_markdown, render_report
from .plots import draw_all

_INTERVAL = ('value', 'low', 'high')
_COUNTS = ('true_lesions', 'found_lesions', 'hits', 'true_left_out', 'found_left_out')
_OF_TARGET = [column.name for column in fields(TargetFigures)]


def write_report(report: LesionReport, classes: Classes, out: str | Path) -> None:
    """Write ``report.html``, ``report.md``, ``report.json``, ``figures.csv``, ``differences.csv``
    (of several models), ``scans.csv``, ``lesions.csv``, and ``figures/`` as SVG and PNG.

    Args:
        report (LesionReport): Of :func:`~.measure.compare`.
        classes (Classes): What was compared.
        out (str | Path): Folder to write to; each file is written whole or not at all.
    """
    out = Path(out)
    title = f'Lesions: {out.resolve().name}'
    plots = save_plots(draw_all(report), out / 'figures')
    columns = ('model', 'target', 'figure', *_INTERVAL)
    by_model = {name: model.figures for name, model in report.models.items()}
    write_csv(out / 'figures.csv', (*columns, 'scans'), _figure_rows(by_model, report))
    if report.differences:
        write_csv(out / 'differences.csv', columns, _figure_rows(report.differences))
    write_csv(
        out / 'scans.csv',
        ('model', 'scan', 'patient', *_COUNTS, 'target', *_OF_TARGET),
        _scan_rows(report),
    )
    names = [column.name.removesuffix('_') for column in fields(ComparedLesion)]
    write_csv(out / 'lesions.csv', ('model', 'of', *names), _lesion_rows(report))
    write_json(report, out / 'report.json')
    write_text(render_markdown(report, classes, title), out / 'report.md')
    write_text(render_report(report, classes, plots, title), out / 'report.html')


def _figure_rows(
    by_model: dict[str, dict[str, Figures]], report: LesionReport | None = None
) -> Iterator[dict[str, Any]]:
    """A row for each figure; of a report with the number of scans that define it."""
    for name, targets in by_model.items():
        for target, figures in targets.items():
            defined = report.models[name].defined[target] if report else {}
            for key, estimate in figures.items():
                row = dict(model=name, target=target, figure=key)
                row |= {column: getattr(estimate, column) for column in _INTERVAL}
                yield row | ({'scans': defined.get(key, report.scans)} if report else {})


def _scan_rows(report: LesionReport) -> Iterator[dict[str, Any]]:
    """A row for each target of each scan; counts are of all lesions together."""
    for name, model in report.models.items():
        for scan in model.scans:
            counts = {key: getattr(scan, key) for key in _COUNTS}
            for target, figures in scan.targets.items():
                yield dict(
                    model=name,
                    scan=scan.scan,
                    patient=scan.patient,
                    target=target,
                    **counts,
                    **asdict(figures),
                )


def _lesion_rows(report: LesionReport) -> Iterator[dict[str, Any]]:
    for name, model in report.models.items():
        for of, lesions in (('truth', model.true), ('model', model.found)):
            for lesion in lesions:
                row = {key.removesuffix('_'): value for key, value in asdict(lesion).items()}
                yield dict(model=name, of=of, **row)
