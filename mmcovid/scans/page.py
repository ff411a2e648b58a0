"""The page of a scan: one HTML file that opens offline."""
from collections.abc import Mapping
from html import escape
from pathlib import Path

import numpy as np

from mmcovid.reporting import figure, page, picture_uri, svg_figure, table
from mmcovid.visualization.one_shot_visualizer import DISPLAY_NAMES

from .results import LUNG

_MOST_LESIONS = 15
_CSS = '''
.verdict { font-size: 1.7rem; font-weight: 650; margin: .2rem 0; }
.verdict small { display: inline; margin-left: .6rem; font-size: .55em; }
.scores { display: grid; grid-template-columns: max-content minmax(8rem, 22rem) max-content;
  gap: .3rem .9rem; align-items: center; margin: .6rem 0 1rem; font-variant-numeric: tabular-nums; }
.track { height: .7rem; border-radius: 4px; background: var(--soft); overflow: hidden; }
.track i { display: block; height: 100%; background: rgb(var(--mark)); }
.lead { color: var(--part); font-weight: 600; margin: 0 0 .5rem; max-width: 50rem; }
.views { display: flex; flex-wrap: wrap; gap: .8rem; margin: .4rem 0 1.4rem; }
.views figure { flex: 1 1 260px; max-width: 390px; margin: 0; }
.views img { width: 100%; background: #000; }
.key { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin-right: .35em; }
.facts td { overflow-wrap: anywhere; }
@media (max-width: 500px) { header, main { padding-left: 1rem; padding-right: 1rem; } }
'''


def render(name: str, results: dict, views: Mapping[int, dict[str, np.ndarray]],
           profile: str | None, palette: dict[str, tuple[int, int, int]]) -> str:
    """Lay the page of a scan out.

    Args:
        name (str): Of the scan.
        results (dict): What ``results.json`` holds.
        views (Mapping[int, dict[str, np.ndarray]]): Pictures of slices by caption, by index.
        profile (str, optional): SVG text of the plot along the scan.
        palette (dict[str, tuple[int, int, int]]): Colours of the lesion classes, RGB.

    Returns:
        str: The HTML page.
    """
    sections = [('Result', _result(results, palette))]
    if views:
        sections.append(('Most suspicious slices', _views(results, views, palette)))
    if profile:
        sections.append(('Along the scan', svg_figure(profile, _profile_caption(results))))
    if results['volumes'] is not None:
        sections.append(('Lesions', _lesions(results)))
    sections += [('How it was made', _provenance(results)), ('Limits', _limits(results))]
    lead = '<p class="lead">Research use only. This is not a medical device.</p>'
    return page(name, sections, lead, _CSS)


def _show(name: str) -> str:
    return escape(DISPLAY_NAMES.get(name, name))


def _key(name: str, palette: dict) -> str:
    color = ''.join(f'{value:02x}' for value in palette.get(name, (128, 128, 128)))
    return f'<span class="key" style="background:#{color}"></span>{_show(name)}'


def _result(results: dict, palette: dict) -> str:
    found, scan = results['classification'], results['scan']
    parts = []
    if found is None:
        parts.append('<p>This model does not classify.</p>')
    else:
        parts.append(f'<p class="verdict">{_verdict(found)}</p>')
        bars = ''.join(
            f'<span>{_show(key)}</span><span class="track"><i style="width:{value:.1%}"></i></span>'
            f'<span>{value:.3f}</span>' for key, value in found['scores'].items())
        parts.append(f'<div class="scores">{bars}</div><p>{_rule(found, scan)}</p>')
    notes = ''.join(f'<li>{escape(note)}</li>' for note in results['notes'])
    notes += ''.join(f'<li>{escape(e["input"])}: {escape(e["reason"])}</li>'
                     for e in results['errors'])
    if notes:
        parts.append(f'<ul class="notes">{notes}</ul>')
    if results['volumes'] is not None:
        parts.append(_volumes(results, palette))
    return ''.join(parts)


def _verdict(found: dict) -> str:
    leading = _show(found['leading_class'])
    if found['decided']:
        return f'{leading}<small>score {found["score"]:.3f}</small>'
    return (f'Undecided<small>{leading} leads with {found["score"]:.3f}, below '
            f'{found["abstain_below"]:g}</small>')


def _rule(found: dict, scan: dict) -> str:
    how = {'mean': 'Mean of the scores', 'max': 'Maximum of the scores, divided by their sum,',
           'vote': 'Share of each class among the predictions'}[found['aggregate']]
    if scan['num_slices'] == 1:
        return 'Scores of the only slice. They are no calibrated probabilities of a disease.'
    which = f'{found["num_slices"]} of {scan["num_slices"]} slices'
    if found['region'] != 'all':
        which += (f', those that show the {found["region"]}: {found["first_slice"]} to '
                  f'{found["last_slice"]}')
    return (f'{how} of {which}. Scores are no probabilities of a disease unless a temperature '
            'calibrated them.')


def _volumes(results: dict, palette: dict) -> str:
    in_ml = results['scan']['spacing_mm'] is not None
    rows = []
    for name, entry in results['volumes'].items():
        label = '<b>Lesions together</b>' if name == 'lesions' else _key(name, palette)
        share = entry['share_of_lung']
        rows.append([label, f'{entry["ml"]:,.1f}' if in_ml else f'{entry["voxels"]:,}',
                     '–' if share is None or name == LUNG else f'{share:.1%}'])
    note = 'The lung includes its lesions.' if LUNG in results['volumes'] else ''
    if not in_ml:
        note += ' Pictures tell no size: areas are in pixels.'
    return table(['', 'ml' if in_ml else 'pixels', 'of the lung'], rows) + f'<p>{note}</p>'


def _views(results: dict, views: Mapping[int, dict], palette: dict) -> str:
    by_index = {row['index']: row for row in results['slices']}
    keys = ' &nbsp; '.join(_key(name, palette) for name in palette)
    parts = ['<p>Those that speak most for the leading class (of a normal scan, most against it), '
             'in the order of the scan. RoIs are what the class was read from: the brighter, the '
             f'more weight; numbers are their places in the sequence.</p><p>{keys}</p>']
    for index, pictures in views.items():
        row = by_index[index]
        place = (escape(Path(row['path']).name) if row['z_mm'] is None
                 else f'z {row["z_mm"]:.1f} mm')
        head = f'Slice {index}, {place}'
        if 'scores' in row:
            head += f': {_show(row["leading_class"])} {row["score"]:.3f}'
        figures = ''.join(
            figure(picture_uri(image), escape(caption), f'Slice {index}: {caption}')
            for caption, image in pictures.items())
        parts.append(f'<h3>{head}</h3><div class="views">{figures}</div>')
    return ''.join(parts)


def _profile_caption(results: dict) -> str:
    grey = any(not row['in_region'] for row in results['slices'])
    return 'Lesion load and class scores of each slice.' + (
        ' Slices on grey have no part in the class of the scan.' if grey else '')


def _lesions(results: dict) -> str:
    found = [(row, lesion) for row in results['slices'] for lesion in row['lesions']]
    thr = results['settings']['score_thr']
    if not found:
        return f'<p>None with a score of {thr:g} or more.</p>'
    found.sort(key=lambda each: -each[1]['pixels'])
    rows = [[str(row['index']), _show(lesion['class']), f'{lesion["score"]:.3f}',
             f'{lesion["pixels"]:,}' if lesion['area_mm2'] is None
             else f'{lesion["area_mm2"]:,.0f}',
             ', '.join(f'{value:.0f}' for value in lesion['bbox'])]
            for row, lesion in found[:_MOST_LESIONS]]
    area = 'pixels' if found[0][1]['area_mm2'] is None else 'area, mm²'
    shown = 'All' if len(found) == len(rows) else f'The {len(rows)} largest'
    return (f'<p>{shown} of {len(found)} with a score of {thr:g} or more; each is a region of one '
            'slice. results.json has all of them.</p>'
            + table(['slice', 'class', 'score', area, 'box: x1, y1, x2, y2 in pixels'], rows))


def _provenance(results: dict) -> str:
    scan, model, settings = results['scan'], results['model'], results['settings']
    size = ' × '.join(map(str, scan['size'])) if scan['size'] else 'pictures'
    facts = {
        'input': scan['path'], 'kind': scan['kind'],
        'slices': f'{len(results["slices"])} of {scan["num_slices"]} predicted; {size}',
        'spacing': 'unknown' if scan['spacing_mm'] is None else
        ' × '.join(f'{value:.4g}' for value in scan['spacing_mm']) + ' mm (x, y, z)',
        'window': 'none: grey levels of the pictures' if scan['window_hu'] is None else
        f'level {scan["window_hu"][0]:g}, width {scan["window_hu"][1]:g} HU',
        'model': model['name'], 'weights': Path(model['weights'] or 'random').name,
        'SHA-256 of the weights': model['weights_sha256'],
        'SHA-256 of the config': model['config_sha256'],
        'settings': ', '.join(f'{key} {value}' for key, value in settings.items()),
        'files': '; '.join(f'{key} ({value})' for key, value in results['files'].items()),
        'software': ', '.join(f'{key} {value}' for key, value in results['software'].items()),
        'date': results['created']}
    return table(['', ''], ([escape(key), escape(str(value))] for key, value in facts.items()),
                 'text facts')


def _limits(results: dict) -> str:
    points = [
        'Research use only: no medical device, not to be used in the care of a patient.',
        'The class is one of those that the model was trained on. Other diseases, and scans that '
        'are unlike its training data, get one of them, too.',
        'Slices are predicted one by one; the class of the scan is a rule on their scores, not '
        'learnt from whole scans.',
        'Masks are unchecked, volumes are sums over their voxels; a lesion that the model missed '
        'is in none of the numbers.',
        'Attention weights tell what the network weighed, not why the scan has its class.']
    if results['scan']['window_hu'] is None:
        points.append('Pictures have no Hounsfield units and no size: the window they were made in '
                      'should be that of the training data.')
    return '<ul>' + ''.join(f'<li>{point}</li>' for point in points) + '</ul>'
