"""Write a report: page, tables, figures."""
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmcovid.reporting import save_plots, write_csv
from mmcovid.utils.files import write_json, write_text

from .checklist import fill_checklists
from .gallery import classification_gallery, lesion_gallery
from .load import load_dump
from .measure import Models, Results, Settings, compute
from .page import render, title_of
from .plots import draw_all

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
    galleries = _draw_galleries(results, models, settings)
    unread = sum(entry['image'] is None for kind in galleries.values() for own in kind.values()
                 for entry in own)
    if unread:
        data['notes'].append(f'{unread} images of the galleries of errors cannot be read.')
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
    write_json(data | {
        kind: {name: [{k: v for k, v in entry.items() if k != 'image'} for entry in entries]
               for name, entries in own.items()} for kind, own in galleries.items()},
        out / 'report.json')
    write_text(render(data | galleries, figures, checklists, title_of(out)), out / 'report.html')
    return results


def _draw_galleries(results: Results, models: Models, settings: Settings) -> dict[str, dict]:
    """The worst errors of each model's first run: ``errors`` in class, ``lesion_errors``."""
    galleries: dict[str, dict] = {}
    if not settings.gallery:
        return galleries
    chosen = dict(number=settings.gallery, image_root=settings.image_root)
    for name, cases in results.cases.get('slice', {}).items():
        paths = {str(e['img_id']): e.get('img_path') or '' for e in models[name][0].slices}
        galleries.setdefault('errors', {})[name] = classification_gallery(cases, paths, **chosen)
    for name, (first, *_) in models.items():
        if first.lesions:
            galleries.setdefault('lesion_errors', {})[name] = lesion_gallery(
                first.lesions, first.lesion_classes, settings.score_thr, **chosen)
    return galleries


def _temperatures(calibration: dict) -> dict:
    """The temperature of every run, with what it was fitted on."""
    keys = ('temperature', 'nll_before', 'nll_after', 'note', 'file', 'slices')
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
