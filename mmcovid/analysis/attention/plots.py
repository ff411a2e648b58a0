"""Plots of an attention report, as matplotlib figures."""

from collections.abc import Iterable, Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmcovid.classes import Classes
from mmcovid.reporting import COLORS, FAINT, STYLE, panels
from mmcovid.results import AttentionSet, Estimate
from mmcovid.results.attention import AttentionShare, DeletionEffect

from .measure import LESION_CLASS, REGION
from .words import END_TITLES, MEASURE_TITLES, WRONGLY, group_title, set_title

_INK, _ALL_SLICES = '#30343b', '#5d6573'
_END_STYLES = {'top': (COLORS[1], 'o'), 'random': (COLORS[0], 's'), 'bottom': (COLORS[2], '^')}


def draw_all(sets: Mapping[str, AttentionSet], classes: Classes) -> dict[str, Figure]:
    """All plots of a report.

    Args:
        sets (Mapping[str, AttentionSet]): By task.
        classes (Classes): Of the model.

    Returns:
        dict[str, Figure]: By file name without suffix.
    """
    with matplotlib.rc_context(STYLE):
        plots = dict(lesion_classes=draw_ratios(sets, LESION_CLASS, classes))
        if any(row.kind == REGION for figures in sets.values() for row in figures.shares):
            plots['regions'] = draw_ratios(sets, REGION, classes)
        plots['order'] = draw_order(sets)
        plots.update(
            (f'deletion_{task}', draw_deletion(figures.deletion))
            for task, figures in sets.items()
            if figures.deletion
        )
    return plots


def draw_ratios(sets: Mapping[str, AttentionSet], kind: str, classes: Classes) -> Figure:
    """Attention share over even share, a row per branch and set, a group of bars per name."""
    rows = [
        (task, branch)
        for task, figures in sets.items()
        for branch in figures.set.branches
        if any(row.kind == kind for row in figures.shares)
    ]
    figure = Figure(figsize=(9.6, 2.5 * len(rows)), layout='constrained')
    for (task, branch), axes in zip(rows, figure.subplots(len(rows), 1, squeeze=False)[:, 0]):
        shares = [
            row
            for row in sets[task].shares
            if (row.kind, row.branch) == (kind, branch) and not row.group.startswith(WRONGLY)
        ]
        _bars(axes, shares, classes)
        axes.set(title=f'{branch}, {set_title(task)}', ylabel='attention / even')
    return figure


def draw_order(sets: Mapping[str, AttentionSet]) -> Figure:
    """Mean weight by place in the sequence and by rank of the detection score."""
    figure, grid = panels(len(sets), 2)
    for (task, figures), row in zip(sets.items(), grid):
        for axes, key, label in zip(
            row,
            ('by_place', 'by_score'),
            (
                'place in the sequence (1: nearest to the origin)',
                'rank of the detection score (1: best)',
            ),
        ):
            axes.axhline(1 / figures.set.rois, color=FAINT, lw=1, ls='--')
            for color, (branch, order) in zip(COLORS, figures.order.items()):
                weights = getattr(order, key)
                _band(axes, np.arange(1, len(weights) + 1), weights, color, branch, 'o')
            axes.set(title=set_title(task), xlabel=label, ylabel='mean weight')
            axes.set_ylim(bottom=0)
            axes.xaxis.get_major_locator().set_params(integer=True)
    grid[0, 0].legend()
    return figure


def draw_deletion(effects: Sequence[DeletionEffect]) -> Figure:
    """What dropping RoIs does, a row per measure, a column per ranking."""
    rankings = list(dict.fromkeys(effect.ranking for effect in effects))
    figure, grid = panels(len(MEASURE_TITLES), len(rankings), height=2.6)
    for line, (measure, title) in zip(grid, MEASURE_TITLES.items()):
        for axes, ranking in zip(line, rankings):
            own = [
                effect
                for effect in effects
                if (effect.ranking, effect.measure) == (ranking, measure)
            ]
            dropped = [effect.dropped for effect in own]
            for end, (color, marker) in _END_STYLES.items():
                _band(
                    axes,
                    dropped,
                    [getattr(effect, end) for effect in own],
                    color,
                    END_TITLES[end],
                    marker,
                )
            axes.set(xlabel='RoIs dropped', xticks=dropped, ylabel=title if axes is line[0] else '')
            if axes in grid[0]:
                axes.set_title(f'ranked by {ranking}')
        low, high = np.array([axes.get_ylim() for axes in line]).T
        for axes in line:
            axes.set_ylim(low.min(), high.max())
    grid[0, 0].legend(loc='upper left')
    return figure


def _bars(axes: Axes, shares: Sequence[AttentionShare], classes: Classes) -> None:
    """Ratios of one branch: a bar for each group of slices, beside each other for each name."""
    names = list(dict.fromkeys(share.name for share in shares))
    groups = list(dict.fromkeys(share.group for share in shares))
    width = 0.8 / len(groups)
    for g, (group, color) in enumerate(zip(groups, (_ALL_SLICES, *COLORS))):
        ratios = {share.name: share.ratio for share in shares if share.group == group}
        x = [names.index(name) + (g - (len(groups) - 1) / 2) * width for name in ratios]
        low, value, high = _bounds(ratios.values())
        axes.bar(
            x, value - 1, width * 0.9, bottom=1, color=color, label=group_title(group, classes)
        )
        axes.errorbar(x, value, [value - low, high - value], fmt='none', ecolor=_INK, lw=1)
    axes.axhline(1, color=_INK, lw=1)
    axes.set(xticks=range(len(names)), xticklabels=map(classes.display, names))
    axes.grid(False, axis='x')
    axes.legend(loc='center left', bbox_to_anchor=(1, 0.5))


def _band(
    axes: Axes,
    x: np.ndarray | Sequence[int],
    estimates: Sequence[Estimate],
    color: str,
    label: str,
    marker: str,
) -> None:
    """A line of estimates with their intervals."""
    low, value, high = _bounds(estimates)
    axes.plot(x, value, color=color, marker=marker, ms=4, lw=1.6, label=label)
    axes.fill_between(x, low, high, color=color, alpha=0.15, lw=0)


def _bounds(estimates: Iterable[Estimate]) -> np.ndarray:
    """Lower bounds, values and upper bounds, (3, n)."""
    return np.array([(each.low, each.value, each.high) for each in estimates], float).T
