"""Curves of a report, as matplotlib figures."""
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import precision_recall_curve, roc_curve

from mmcovid.reporting import COLORS, FAINT, STYLE, colors_of, panels
from mmcovid.statistics.calibration import coverage_curve
from mmcovid.statistics.classification import Cases

from .measure import Results

_MOST_POINTS = 400
_TICKS = (0, 0.25, 0.5, 0.75, 1)


def _unit_square(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set(title=title, xlabel=x, ylabel=y, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02),
             xticks=_TICKS, yticks=_TICKS, aspect='equal')


def _thin(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At most 400 points of a curve, its ends among them."""
    chosen = np.unique(np.linspace(0, len(x) - 1, min(len(x), _MOST_POINTS)).astype(int))
    return x[chosen], y[chosen]


def draw_roc(cases: dict[str, dict[str, Cases]], classes: Sequence[str]) -> Figure:
    """ROC curves, a row per level, a column per class, a line per model."""
    figure, grid = panels(len(cases), len(classes))
    for row, (level, models) in zip(grid, cases.items()):
        for k, (axes, name) in enumerate(zip(row, classes)):
            axes.plot([0, 1], [0, 1], color=FAINT, lw=1, ls='--')
            for color, (model, own) in zip(colors_of(models), models.items()):
                positive = own.truth == k
                if 0 < positive.sum() < len(own):
                    fpr, tpr, _ = roc_curve(positive, own.scores[:, k])
                    axes.step(*_thin(fpr, tpr), where='post', color=color, lw=1.6, label=model)
            _unit_square(axes, f'{name}, {level} level', '1 − specificity', 'sensitivity')
    _legend(grid[0, 0])
    return figure


def draw_precision_recall(cases: dict[str, dict[str, Cases]], classes: Sequence[str]) -> Figure:
    """Precision-recall curves, as :func:`draw_roc`; the dashed line is the class's share."""
    figure, grid = panels(len(cases), len(classes))
    for row, (level, models) in zip(grid, cases.items()):
        for k, (axes, name) in enumerate(zip(row, classes)):
            for color, (model, own) in zip(colors_of(models), models.items()):
                positive = own.truth == k
                if positive.any():
                    axes.axhline(positive.mean(), color=FAINT, lw=1, ls='--')
                    precision, recall, _ = precision_recall_curve(positive, own.scores[:, k])
                    axes.step(*_thin(recall, precision), where='pre', color=color, lw=1.6,
                              label=model)
            _unit_square(axes, f'{name}, {level} level', 'sensitivity (recall)',
                         'PPV (precision)')
    _legend(grid[0, 0])
    return figure


def draw_reliability(calibration: dict[str, list[dict]]) -> Figure:
    """Confidence against accuracy of each model's first run, and how many slices are where."""
    figure = Figure(figsize=(3.1 * len(calibration) + 0.3, 3.9), layout='constrained')
    grid = figure.subplots(2, len(calibration), squeeze=False, sharex='col',
                           height_ratios=(3, 1))
    for (model, runs), axes, counts in zip(calibration.items(), *grid):
        axes.plot([0, 1], [0, 1], color=FAINT, lw=1, ls='--')
        lines = [('bins', COLORS[0], 'o', 'as predicted')]
        if 'bins_after' in runs[0]:
            lines.append(('bins_after', COLORS[1], 's', f'T = {runs[0]["temperature"]:.3g}'))
        for key, color, marker, label in lines:
            bins = runs[0][key]
            full = bins['count'] > 0
            edges = np.linspace(0, 1, len(full) + 1)
            axes.plot(bins['confidence'][full], bins['accuracy'][full], color=color, lw=1.4,
                      marker=marker, ms=4, label=label)
            counts.stairs(bins['count'], edges, color=color, fill=key == 'bins', alpha=0.75)
        axes.set(title=model, ylabel='accuracy', xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        counts.set(xlabel='confidence', ylabel='slices')
        axes.legend(loc='upper left')
    return figure


def draw_coverage(cases: dict[str, dict[str, Cases]]) -> Figure:
    """Accuracy on the most confident cases, a panel per level, a line per model."""
    figure, grid = panels(1, len(cases), height=3.1)
    for axes, (level, models) in zip(grid[0], cases.items()):
        for color, (model, own) in zip(colors_of(models), models.items()):
            curve = coverage_curve(own)
            axes.plot(*_thin(curve['coverage'], curve['accuracy']), color=color, lw=1.6,
                      label=model)
        axes.set(title=f'{level} level', xlabel='coverage (share that is decided)',
                 ylabel='accuracy on these', xlim=(0, 1.02))
    _legend(grid[0, 0], 'lower left')
    return figure


def _legend(axes: Axes, loc: str = 'lower right') -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc=loc)


def draw_all(results: Results) -> dict[str, Figure]:
    """All figures of a report.

    Args:
        results (Results): Of the report.

    Returns:
        dict[str, Figure]: By file name without suffix.
    """
    if not results.cases:
        return {}
    classes = results.data['classes']
    with matplotlib.rc_context(STYLE):
        return dict(
            roc=draw_roc(results.cases, classes),
            precision_recall=draw_precision_recall(results.cases, classes),
            reliability=draw_reliability(results.data['calibration']),
            coverage_accuracy=draw_coverage(results.deciding))
