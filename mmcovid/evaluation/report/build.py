"""Write a report: page, tables, figures."""
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmcovid.reporting import save_plots, write_csv
from mmcovid.utils.files import write_json, write_text

from .checklist import fill_checklists
from .compute import Models, Results, Settings, compute
from .figures import draw_all
from .gallery import gallery
from .html import render, title_of
from .predictions import load_dump

ESTIMATE = ('value', 'low', 'high')


def load_models(items: Sequence[str]) -> Models:
    """Read predictions, given as ``FILE`` or ``NAME=FILE``.

    Args:
        items (Sequence[str]): Files; those of one name are training runs of one model. Without a
            name, the file's name without suffix is taken.

    Returns:
        Models: Predictions by name, in their order.

    Raises:
        ValueError: If two files without names have the same file name.
    """
    models: Models = {}
    unnamed = set()
    for item in items:
        name, equals, path = item.partition('=')
        if not equals or Path(item).is_file():
            name, path = Path(item).stem, item
            if name in unnamed or name in models:
                raise ValueError(f'{item}: there is a file named {name} already. Name the models: '
                                 'NAME=FILE')
            unnamed.add(name)
        models.setdefault(name, []).append(load_dump(path))
    return models


def load_validation(models: Models, paths: Sequence[str]) -> Models:
    """Read validation predictions, one file for each file of ``models``, in the same order.

    Raises:
        ValueError: If they are not as many.
    """
    runs = [name for name, dumps in models.items() for _ in dumps]
    if len(paths) != len(runs):
        raise ValueError(f'{len(paths)} validation files for {len(runs)} files of predictions: '
                         f'give one for each, in the order {", ".join(runs)}')
    validation: Models = {name: [] for name in models}
    for name, path in zip(runs, paths):
        validation[name].append(load_dump(path))
    return validation


def write_report(models: Models, out: str | Path, settings: Settings,
                 validation: Models | None = None) -> Results:
    """Compute and write a report.

    Written are ``report.html``, ``report.json``, ``figures.csv``, ``differences.csv`` (of
    several models), ``subgroups.csv`` and ``temperature.json`` (if asked for),
    ``checklists.csv``, and ``figures/`` as SVG and PNG. Each is written whole or not at all.

    Args:
        models (Models): Predictions; see :func:`load_models`.
        out (str | Path): Folder to write to.
        settings (Settings): What to compute.
        validation (Models, optional): Predictions to fit temperatures on. Defaults to None.

    Returns:
        Results: What was written.
    """
    out, results = Path(out), compute(models, settings, validation)
    data = results.data
    if results.cases and settings.gallery:
        data['gallery'] = {}
        for name, cases in results.cases['slice'].items():
            paths = {str(e['img_id']): e.get('img_path', '') for e in models[name][0].slices}
            data['gallery'][name] = gallery(cases, paths, settings.gallery, settings.image_root)
        unread = sum(entry['image'] is None for own in data['gallery'].values() for entry in own)
        if unread:
            data['notes'].append(f'{unread} images of the gallery of errors cannot be read.')

    figures = save_plots(draw_all(results), out / 'figures')
    checklists = fill_checklists(data)
    write_csv(out / 'figures.csv', ('level', 'model', 'figure', *ESTIMATE, 'sd_of_runs'),
              _rows(data['figures']))
    if any(data['differences'].values()):
        write_csv(out / 'differences.csv',
                  ('level', 'model', 'figure', *ESTIMATE, 'reference'),
                  (row | dict(reference=data['reference']) for row in _rows(data['differences'])))
    if 'subgroups' in data:
        write_csv(out / 'subgroups.csv',
                  ('column', 'group', 'slices', 'patients', 'model', 'figure', *ESTIMATE),
                  _subgroup_rows(data['subgroups']))
    write_csv(out / 'checklists.csv', ('checklist', 'item', 'asks', 'status', 'answer'),
              checklists)
    if validation:
        write_json(_temperatures(data['calibration']), out / 'temperature.json')
    pictures = data.pop('gallery', {})
    write_json(
        data | dict(errors={
            name: [{k: v for k, v in entry.items() if k != 'image'} for entry in entries]
            for name, entries in pictures.items()}),
        out / 'report.json')
    data['gallery'] = pictures
    write_text(render(data, figures, checklists, title_of(out)), out / 'report.html')
    return results


def _temperatures(calibration: dict) -> dict:
    """The temperature of every run, with what it was fitted on."""
    keys = ('temperature', 'nll_before', 'nll_after', 'file', 'slices')
    return {name: [{key: run[key] for key in keys} for run in runs]
            for name, runs in calibration.items()}


def _rows(levels: dict) -> Iterator[dict]:
    for level, models in levels.items():
        for model, figures in models.items():
            for figure, entry in figures.items():
                yield dict(level=level, model=model, figure=figure, **entry)


def _subgroup_rows(columns: dict) -> Iterator[dict]:
    for column, groups in columns.items():
        for group, entry in groups.items():
            for model, figures in entry['figures'].items():
                for figure, values in figures.items():
                    yield dict(column=column, group=group, slices=entry['slices'],
                               patients=entry['patients'], model=model, figure=figure, **values)
