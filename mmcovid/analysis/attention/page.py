"""The attention report as one HTML file that needs nothing else."""
from collections.abc import Sequence
from html import escape

from mmcovid.reporting import figure, page, svg_figure, table
from mmcovid.reporting.page import number

from .deletion import BY_SCORE
from .measure import ALL
from .plots import MEASURES, SETS

CSS = '''
.wide { overflow-x: auto; } .wide > img { max-width: none; width: max(100%, 900px); }
@media (max-width: 760px) { figure { overflow-x: auto; }
  figure > img { max-width: none; width: 720px; } }
'''
CAPTIONS = {
    'lesion_classes': 'Share of the attention on RoIs of each lesion class, over the share that '
                      'even weights would give it; by true class (lesion set: by predicted class).',
    'regions': 'The same for the parts of the lungs.',
    'order': 'Mean weight by place and by detection score; dashed: even weights.'}


def render(data: dict, plots: dict[str, str], pictures: Sequence[dict], title: str) -> str:
    """Lay the report out.

    Args:
        data (dict): What ``attention.json`` holds.
        plots (dict[str, str]): SVG text by name.
        pictures (Sequence[dict]): ``uri`` and ``caption`` of drawn slices.
        title (str): Heading of the page.

    Returns:
        str: The HTML page.
    """
    sets = data['sets']
    sections = [('Summary', _summary(data))]
    if plots and any(own['deletion'] for own in sets.values()):
        sections.append(('Deletion', _deletion(sets, plots)))
    sections += [
        ('Lesion classes', _plot(plots, 'lesion_classes') + _shares(sets, 'lesion class')),
        ('Regions', _regions(sets, plots)),
        ('Order', _order(sets) + _plot(plots, 'order'))]
    if any(own['pointing'] for own in sets.values()):
        sections.append(('True lesions', _true_lesions(sets)))
    if pictures:
        sections.append(('Slices', '<p>Drawn at random with the seed of the report.</p>' + ''.join(
            figure(each['uri'], escape(each['caption']), css='wide') for each in pictures)))
    sections.append(('Method', _method(data)))
    return page(title, sections, css=CSS)


def _summary(data: dict) -> str:
    cards = []
    for task, own in data['sets'].items():
        size = own['set']
        groups = ', '.join(f'{n:,} {escape(name)}' for name, n in size['groups'].items()
                           if name != ALL)
        cards.append(f'<div class="card"><strong>{size["slices"]:,}</strong> of the '
                     f'{SETS.get(task, escape(task))}, {size["patients"]:,} patients'
                     f'<small>{groups}</small></div>')
    notes = ''.join(f'<li>{escape(note)}</li>' for note in data['notes'])
    return (
        f'<div class="cards">{"".join(cards)}</div>'
        '<p>Attention weights tell what the network weighed, not why a slice has its class. '
        'Whether they can be read as an explanation at all is disputed (Jain and Wallace 2019; '
        'Wiegreffe and Pinter 2019) and has to be tested for each model: see Deletion first.</p>'
        + _faithful(data['sets']) + (f'<ul class="notes">{notes}</ul>' if notes else ''))


def _faithful(sets: dict[str, dict]) -> str:
    """The table that tells most: one RoI dropped, and how far the weights are spread."""
    rows = []
    for task, own in sets.items():
        first = {(row['ranking'], row['measure']): row for row in own['deletion']
                 if row['dropped'] == min(each['dropped'] for each in own['deletion'])}
        for branch, order in own['order'].items():
            row = first.get((branch, 'score_drop'))
            rows.append([
                f'{escape(branch)}<small>{SETS.get(task, escape(task))}</small>',
                *(['–'] * 4 if row is None else
                  [number(row['top']), number(row['random']), _clear(row['top_minus_random']),
                   _clear(row['top_minus_bottom'])]),
                f'{number(order["effective_rois"])}<small>of {own["set"]["rois"]}</small>',
                number(order['explained_by_place'])])
    return table(['weights', 'score falls<small>heaviest RoI dropped</small>',
                  'score falls<small>random RoI dropped</small>', 'heaviest − random',
                  'heaviest − lightest', 'effective number<small>of RoIs</small>',
                  'variance explained<small>by the place alone</small>'], rows)


def _deletion(sets: dict[str, dict], plots: dict[str, str]) -> str:
    parts = [
        '<p>RoIs are dropped from the sequence and the rest is classified again. Their places are '
        'taken by the others, as in a slice with too few boxes: repeated, best first, the order '
        'kept. The head normalises the RoIs of a slice together, so that every drop changes all of '
        'them: a random drop is the measure of that. “Score” and “logit” are those of the class '
        'predicted before. If weights tell what the class was read from, dropping the heaviest '
        'RoIs costs more than dropping random or the lightest ones: differences are marked where '
        'their interval excludes 0. If the lightest cost as much as the heaviest, weight is not '
        'what counts. Ranking by detection score, in which attention has no part, is '
        'there to compare with. In LSTM-2 the class-irrelevant branch is subtracted: its heaviest '
        'RoIs may speak for or against the class.</p>']
    for task, own in sets.items():
        parts.append(f'<h3>{_capital(SETS.get(task, escape(task)))}</h3>' + _plot(
            plots, f'deletion_{task}', 'What dropping RoIs changes; bands: 95 %.'))
        for measure in ('score_drop', 'flipped'):
            rows = [[f'{escape(row["ranking"])}<small>{row["dropped"]} dropped</small>',
                     *(number(row[key]) for key in ('top', 'random', 'bottom')),
                     _clear(row['top_minus_random']), _clear(row['top_minus_bottom']),
                     f'{row["slices"]:,}']
                    for ranking in (*own['set']['branches'], BY_SCORE) for row in own['deletion']
                    if (row['ranking'], row['measure']) == (ranking, measure)]
            grid = table(['ranked by', 'heaviest', 'random', 'lightest', 'heaviest − random',
                          'heaviest − lightest', 'slices'], rows)
            is_open = ' open' * (measure == 'score_drop')
            parts.append(f'<details{is_open}><summary>{_capital(MEASURES[measure])}</summary>'
                         f'{grid}</details>')
    return ''.join(parts)


def _shares(sets: dict[str, dict], kind: str) -> str:
    """A table of the shares for each set: a row per group and branch, a column per name."""
    parts = ['<p>Ratio of the share of the attention to the share that even weights would give, '
             'marked where its interval excludes 1; below it, both shares.</p>']
    for task, own in sets.items():
        rows: dict[tuple, dict[str, dict]] = {}
        for row in own['shares']:
            if row['kind'] == kind:
                rows.setdefault((row['group'], row['branch']), {})[row['name']] = row
        names = list(dict.fromkeys(name for cells in rows.values() for name in cells))
        if rows:
            grid = table(['slices', *map(escape, names)], [
                [f'{escape(group)}<small>{escape(branch)}</small>',
                 *(_share(cells.get(name)) for name in names)]
                for (group, branch), cells in rows.items()])
            is_open = ' open' * (task == next(iter(sets)))
            parts.append(f'<details{is_open}><summary>'
                         f'{_capital(SETS.get(task, escape(task)))}</summary>{grid}</details>')
    return ''.join(parts)


def _share(row: dict | None) -> str:
    """A cell of the shares."""
    if row is None:
        return '<span class="dim">not known</span>'
    return (f'{_clear(row["ratio"], 1)}<small>{row["attention"]["value"]:.3f} / '
            f'{row["even"]["value"]:.3f}</small>')


def _regions(sets: dict[str, dict], plots: dict[str, str]) -> str:
    text = (
        '<p>Of what one axial slice can tell. A RoI counts in each region by the share of its '
        'pixels there. The lung field is what the model found of lungs, with lesions that touch '
        'them. Left and right are sides of the image (the patient’s right is usually at the left), '
        'ventral and dorsal the upper and the lower half of the lungs’ bounding box, as in supine '
        'patients. Peripheral is the half of the field nearer to its edge, that of the mediastinum '
        'included. Upper and lower lobes cannot be told from a slice. The sequence starts at the '
        'upper left of the image, so that places and sides go together: read Order, too.</p>')
    for task, own in sets.items():
        size = own['set']
        if size['no_lung_found'] or size['one_lung_found']:
            text += (f'<p>{SETS.get(task, escape(task))}: no lung found in '
                     f'{size["no_lung_found"]:,} slices, which are left out here; one only in '
                     f'{size["one_lung_found"]:,}, which are left out of the sides.</p>')
    return text + _plot(plots, 'regions') + _shares(sets, 'region')


def _order(sets: dict[str, dict]) -> str:
    keys = {'place_correlation': 'correlation<small>of place and weight</small>',
            'score_correlation': 'correlation<small>of detection score and weight</small>',
            'explained_by_place': 'variance explained<small>by the place alone</small>',
            'effective_rois': 'effective number<small>of RoIs</small>',
            'largest_weight': 'largest weight'}
    rows = [[f'{escape(branch)}<small>{SETS.get(task, escape(task))}</small>',
             *(number(order[key]) for key in keys)]
            for task, own in sets.items() for branch, order in own['order'].items()]
    return (
        '<p>In the LSTM models a weight belongs to the LSTM’s state after a RoI, which holds all '
        'RoIs before it, not to that RoI alone (Eq. 10 to 15 of the paper). If the place explains '
        'much of the weights’ variance, they tell little of the slice. Correlations are '
        'Spearman’s, means over slices. The effective number of RoIs is the exponential of the '
        'weights’ entropy: the number of RoIs β if they are even, 1 if one has all.</p>'
        + table(['weights', *keys.values()], rows))


def _true_lesions(sets: dict[str, dict]) -> str:
    pointing = [[f'{escape(branch)}<small>{SETS.get(task, escape(task))}</small>',
                 number(entry['hit']), number(entry['chance']), _clear(entry['difference']),
                 f'{entry["slices"]:,}']
                for task, own in sets.items() for branch, entry in own['pointing'].items()]
    return (
        '<p>In slices with lesion masks: the share of the RoIs’ pixels that is GGO or '
        'consolidation.</p>' + _shares(
            {task: own for task, own in sets.items() if own['pointing']}, 'truth')
        + '<h3>Pointing game</h3><p>How often the heaviest RoI is centred in a true lesion, beside '
        'a RoI taken at random from the same slice (Zhang et al. 2018).</p>'
        + table(['weights', 'heaviest', 'random', 'difference', 'slices'], pointing))


def _method(data: dict) -> str:
    settings, model = data['settings'], data['model']
    rows = [['config', f'<code>{escape(model["config"])}</code>',
             f'<code>{model["config_sha256"][:16]}</code>'],
            ['checkpoint', f'<code>{escape(model["checkpoint"])}</code>',
             f'<code>{model["checkpoint_sha256"][:16]}</code>']]
    software = ', '.join(f'{name} {version}' for name, version in data['software'].items())
    return (
        f'<p>Intervals are 95 % t intervals, standard errors from {settings["rounds"]:,} resamples '
        f'of patients with all their slices (seed {settings["seed"]}); many figures are given, and '
        'no correction is made for that. †: all resamples give the same. Random drops are means of '
        f'{settings["draws"]} draws. At least two RoIs are left: a single one, normalised by its '
        'own statistics, is the same in every slice. Lungs and lesions are predicted ones of score '
        f'{settings["score_thr"]:g} or more. Repeats in a sequence count as often as they stand '
        'there; in deletion they are one RoI. “Wrongly” are slices of another true class.</p>'
        '<p>Sources: S. Jain and B. C. Wallace, “Attention is not Explanation”, NAACL 2019; '
        'S. Wiegreffe and Y. Pinter, “Attention is not not Explanation”, EMNLP 2019; J. Zhang et '
        'al., “Top-Down Neural Attention by Excitation Backprop”, IJCV 2018.</p>'
        + table(['', 'file', 'SHA-256'], rows)
        + f'<p>{escape(software)}. For research only.</p>')


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _clear(entry: dict, null: float = 0) -> str:
    """An estimate, marked if its interval excludes what no effect would give."""
    clear = entry['low'] > null or entry['high'] < null
    return f'<span class="{"clear" if clear else ""}">{number(entry, signed=null == 0)}</span>'


def _plot(plots: dict[str, str], name: str, caption: str = '') -> str:
    return svg_figure(plots[name], caption or CAPTIONS[name]) if name in plots else ''
