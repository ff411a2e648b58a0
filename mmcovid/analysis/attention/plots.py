"""Plots of an attention report, as matplotlib figures."""
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmcovid.reporting import COLORS, FAINT, STYLE, panels

#: How sets, measures and ends are called on the page and in plots.
SETS = {'cls': 'slices with class labels', 'seg': 'lesion set'}
MEASURES = {'score_drop': 'fall of the score', 'logit_drop': 'fall of the logit',
            'flipped': 'share of slices that change class'}
ENDS = {'top': ('heaviest', COLORS[1], 'o'), 'random': ('random', COLORS[0], 's'),
        'bottom': ('lightest', COLORS[2], '^')}


def draw_ratios(figures: dict[str, dict], kind: str) -> Figure:
    """Attention share over even share, a row per branch and set, a group of bars per name."""
    rows = [(task, branch) for task, own in figures.items() for branch in own['set']['branches']
            if any(row['kind'] == kind for row in own['shares'])]
    figure = Figure(figsize=(9.6, 2.5 * len(rows)), layout='constrained')
    for (task, branch), axes in zip(rows, figure.subplots(len(rows), 1, squeeze=False)[:, 0]):
        own = [row for row in figures[task]['shares']
               if (row['kind'], row['branch']) == (kind, branch)
               and not row['group'].startswith('wrongly')]
        names, groups = (list(dict.fromkeys(row[key] for row in own)) for key in ('name', 'group'))
        width = 0.8 / len(groups)
        for g, (group, color) in enumerate(zip(groups, ('#5d6573', *COLORS))):
            entries = {row['name']: row['ratio'] for row in own if row['group'] == group}
            x = [names.index(name) + (g - (len(groups) - 1) / 2) * width for name in entries]
            low, value, high = (np.array([entry[key] for entry in entries.values()])
                                for key in ('low', 'value', 'high'))
            axes.bar(x, value - 1, width * 0.9, bottom=1, color=color, label=group)
            axes.errorbar(x, value, [value - low, high - value], fmt='none', ecolor='#30343b',
                          lw=1)
        axes.axhline(1, color='#30343b', lw=1)
        axes.set(title=f'{branch}, {SETS.get(task, task)}', ylabel='attention / even',
                 xticks=range(len(names)), xticklabels=names)
        axes.grid(False, axis='x')
        axes.legend(loc='center left', bbox_to_anchor=(1, 0.5))
    return figure


def draw_order(figures: dict[str, dict]) -> Figure:
    """Mean weight by place in the sequence and by rank of the detection score."""
    figure, grid = panels(len(figures), 2)
    for (task, own), row in zip(figures.items(), grid):
        even = 1 / own['set']['rois']
        for axes, key, label in zip(row, ('by_place', 'by_score'), (
                'place in the sequence (1: nearest to the origin)',
                'rank of the detection score (1: best)')):
            axes.axhline(even, color=FAINT, lw=1, ls='--')
            for color, (branch, order) in zip(COLORS, own['order'].items()):
                _band(axes, np.arange(1, len(order[key]) + 1), order[key], color, branch, 'o')
            axes.set(title=SETS.get(task, task), xlabel=label, ylabel='mean weight')
            axes.set_ylim(bottom=0)
            axes.xaxis.get_major_locator().set_params(integer=True)
    grid[0, 0].legend()
    return figure


def draw_deletion(rows: Sequence[dict]) -> Figure:
    """What dropping RoIs does, a row per measure, a column per ranking."""
    rankings = list(dict.fromkeys(row['ranking'] for row in rows))
    figure, grid = panels(len(MEASURES), len(rankings), height=2.6)
    for line, measure in zip(grid, MEASURES):
        for axes, ranking in zip(line, rankings):
            own = [row for row in rows if (row['ranking'], row['measure']) == (ranking, measure)]
            dropped = [row['dropped'] for row in own]
            for end, (label, color, marker) in ENDS.items():
                _band(axes, dropped, [row[end] for row in own], color, label, marker)
            axes.set(xlabel='RoIs dropped', xticks=dropped,
                     ylabel=MEASURES[measure] if axes is line[0] else '')
            if axes in grid[0]:
                axes.set_title(f'ranked by {ranking}')
        low, high = np.array([axes.get_ylim() for axes in line]).T
        for axes in line:
            axes.set_ylim(low.min(), high.max())
    grid[0, 0].legend(loc='upper left')
    return figure


def _band(axes: Axes, x: Sequence[int], entries: Sequence[dict], color: str, label: str,
          marker: str) -> None:
    """A line of estimates with their intervals."""
    low, value, high = (np.array([entry[key] for entry in entries], float)
                        for key in ('low', 'value', 'high'))
    axes.plot(x, value, color=color, marker=marker, ms=4, lw=1.6, label=label)
    axes.fill_between(x, low, high, color=color, alpha=0.15, lw=0)


def draw_all(figures: dict[str, dict]) -> dict[str, Figure]:
    """All plots of a report, by file name without suffix."""
    with matplotlib.rc_context(STYLE):
        plots = dict(lesion_classes=draw_ratios(figures, 'lesion class'))
        if any(row['kind'] == 'region' for own in figures.values() for row in own['shares']):
            plots['regions'] = draw_ratios(figures, 'region')
        plots['order'] = draw_order(figures)
        plots.update((f'deletion_{task}', draw_deletion(own['deletion']))
                     for task, own in figures.items() if own['deletion'])
    return plots
