"""Curves of a report, as matplotlib figures."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import precision_recall_curve, roc_curve

from mmcovid.classes import Classes
from mmcovid.reporting import COLORS, FAINT, INK, STYLE, colors_of, panels
from mmcovid.results import Estimate
from mmcovid.results.evaluation import CalibrationRun, NetBenefit, ReliabilityBins, SelectiveRisk
from mmcovid.statistics.classification import Cases

from .measure import Results

_MOST_POINTS = 400
_TICKS = (0, 0.25, 0.5, 0.75, 1)


def _unit_square(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set(
        title=title,
        xlabel=x,
        ylabel=y,
        xlim=(-0.02, 1.02),
        ylim=(-0.02, 1.02),
        xticks=_TICKS,
        yticks=_TICKS,
        aspect='equal',
    )


def _thin(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At most 400 points of a curve, its ends among them."""
    chosen = np.unique(np.linspace(0, len(x) - 1, min(len(x), _MOST_POINTS)).astype(int))
    return x[chosen], y[chosen]


def draw_roc(cases: dict[str, dict[str, Cases]], classes: Classes) -> Figure:
    """ROC curves, a row per level, a column per class, a line per model."""
    figure, grid = panels(len(cases), len(classes.images))
    for row, (level, models) in zip(grid, cases.items()):
        for k, (axes, named) in enumerate(zip(row, classes.images)):
            axes.plot([0, 1], [0, 1], color=FAINT, lw=1, ls='--')
            for color, (model, own) in zip(colors_of(models), models.items()):
                positive = own.truth == k
                if 0 < positive.sum() < len(own):
                    fpr, tpr, _ = roc_curve(positive, own.scores[:, k])
                    axes.step(*_thin(fpr, tpr), where='post', color=color, lw=1.6, label=model)
            _unit_square(
                axes, f'{named.display_name}, {level} level', '1 − specificity', 'sensitivity'
            )
    _legend(grid[0, 0])
    return figure


def draw_precision_recall(cases: dict[str, dict[str, Cases]], classes: Classes) -> Figure:
    """Precision-recall curves, as :func:`draw_roc`; the dashed line is the class's share."""
    figure, grid = panels(len(cases), len(classes.images))
    for row, (level, models) in zip(grid, cases.items()):
        for k, (axes, named) in enumerate(zip(row, classes.images)):
            for color, (model, own) in zip(colors_of(models), models.items()):
                positive = own.truth == k
                if positive.any():
                    axes.axhline(positive.mean(), color=FAINT, lw=1, ls='--')
                    precision, recall, _ = precision_recall_curve(positive, own.scores[:, k])
                    axes.step(
                        *_thin(recall, precision), where='pre', color=color, lw=1.6, label=model
                    )
            _unit_square(
                axes,
                f'{named.display_name}, {level} level',
                'sensitivity (recall)',
                'PPV (precision)',
            )
    _legend(grid[0, 0])
    return figure


def draw_reliability(calibration: dict[str, list[CalibrationRun]]) -> Figure:
    """Confidence against accuracy of each model's first run, and how many slices are where."""
    figure = Figure(figsize=(3.1 * len(calibration) + 0.3, 3.9), layout='constrained')
    grid = figure.subplots(2, len(calibration), squeeze=False, sharex='col', height_ratios=(3, 1))
    for (model, (first, *_)), axes, counts in zip(calibration.items(), *grid):
        axes.plot([0, 1], [0, 1], color=FAINT, lw=1, ls='--')
        _draw_bins(axes, first.bins, color=COLORS[0], marker='o', label='as predicted')
        _draw_counts(counts, first.bins, color=COLORS[0], fill=True)
        if first.bins_after:
            _draw_bins(
                axes,
                first.bins_after,
                color=COLORS[1],
                marker='s',
                label=f'T = {first.temperature:.3g}',
            )
            _draw_counts(counts, first.bins_after, color=COLORS[1], fill=False)
        axes.set(title=model, ylabel='accuracy', xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        counts.set(xlabel='confidence', ylabel='slices')
        axes.legend(loc='upper left')
    return figure


def _draw_bins(axes: Axes, bins: ReliabilityBins, color: str, marker: str, label: str) -> None:
    full = np.array(bins.count) > 0
    axes.plot(
        np.array(bins.confidence)[full],
        np.array(bins.accuracy)[full],
        lw=1.4,
        ms=4,
        color=color,
        marker=marker,
        label=label,
    )


def _draw_counts(axes: Axes, bins: ReliabilityBins, color: str, fill: bool) -> None:
    edges = np.linspace(0, 1, len(bins.count) + 1)
    axes.stairs(bins.count, edges, color=color, fill=fill, alpha=0.75)


def draw_risk_coverage(risks: dict[str, dict[str, SelectiveRisk]]) -> Figure:
    """Errors among the most confident cases, a panel per level, a line and its band per model."""
    figure, grid = panels(1, len(risks), height=3.1)
    for axes, (level, models) in zip(grid[0], risks.items()):
        for color, (model, own) in zip(colors_of(models), models.items()):
            _draw_band(axes, np.array(own.coverage), own.risk, color, model)
        axes.set(
            title=f'{level} level',
            xlabel='coverage (share that is decided)',
            ylabel='risk (errors among these)',
            xlim=(0, 1.02),
        )
        axes.set_ylim(bottom=0)
    _legend(grid[0, 0], 'upper left')
    return figure


def draw_decision_curves(
    curves: dict[str, dict[str, list[NetBenefit]]], classes: Classes
) -> Figure:
    """Net benefit by threshold, a panel for what is acted on, a line and its band per model."""
    figure, grid = panels(1, len(curves), height=3.1)
    for axes, (outcome, models) in zip(grid[0], curves.items()):
        everyone = next(iter(models.values()))
        threshold = np.array([point.threshold for point in everyone])
        axes.axhline(0, color=INK, lw=1, label='act on nobody')
        axes.plot(
            threshold,
            [p.treat_all for p in everyone],
            color=INK,
            lw=1,
            ls='--',
            label='on everyone',
        )
        for color, (model, own) in zip(colors_of(models), models.items()):
            _draw_band(axes, threshold, [point.net_benefit for point in own], color, model)
        most = max(1e-3, everyone[0].treat_all)
        axes.set(
            title=f'to act on: {classes.display(outcome)}',
            xlabel='threshold probability',
            ylabel='net benefit',
            xlim=(0, 1),
            ylim=(-0.25 * most, 1.1 * most),
        )
    _legend(grid[0, 0], 'upper right')
    return figure


def _draw_band(
    axes: Axes, x: np.ndarray, estimates: Sequence[Estimate], color: str, label: str
) -> None:
    """A line of estimates, and their intervals behind it."""
    value, low, high = np.array([(each.value, each.low, each.high) for each in estimates]).T
    axes.fill_between(x, low, high, color=color, alpha=0.15, lw=0)
    axes.plot(x, value, color=color, lw=1.6, label=label)


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
    report = results.report
    with matplotlib.rc_context(STYLE):
        return dict(
            roc=draw_roc(results.cases, report.classes),
            precision_recall=draw_precision_recall(results.cases, report.classes),
            reliability=draw_reliability(report.calibration),
            risk_coverage=draw_risk_coverage(report.selective_risk),
            decision_curves=draw_decision_curves(report.net_benefit, report.classes),
        )
