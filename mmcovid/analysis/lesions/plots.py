"""Plots of a comparison of label maps."""

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmcovid.reporting import COLORS, FAINT, STYLE, colors_of, panels
from mmcovid.results import Estimate, LesionReport
from mmcovid.results.lesions import ModelLesions
from mmcovid.statistics.detection import RATES

from .measure import LESIONS, rate_key


def draw_froc(report: LesionReport) -> Figure | None:
    """Sensitivity against false positives per scan, a line per model; None without scores."""
    scored = {
        name: (model.froc, model.figures[LESIONS])
        for name, model in report.models.items()
        if model.froc
    }
    if not scored:
        return None
    figure, ((axes,),) = panels(1, 1, height=3.4)
    figure.set_size_inches(5, 3.4)
    for color, (name, (curve, figures)) in zip(colors_of(scored), scored.items()):
        axes.step(
            curve.fp_per_scan, curve.sensitivity, where='post', color=color, lw=1.6, label=name
        )
        for rate in RATES:
            _draw_interval(axes, rate, figures[rate_key(rate)], color)
    axes.set(
        xlabel='false positives per scan',
        ylabel='sensitivity for lesions',
        ylim=(-0.02, 1.02),
        xlim=(0, None),
    )
    axes.set_xscale('symlog', linthresh=RATES[0], linscale=0.5)
    axes.set_xticks([0, *RATES], ['0', '⅛', '¼', '½', *(f'{rate:g}' for rate in RATES[3:])])
    axes.minorticks_off()
    axes.legend(loc='upper left')
    return figure


def _draw_interval(axes: Axes, x: float, estimate: Estimate, color: str) -> None:
    if estimate.has_interval:
        axes.plot([x, x], [estimate.low, estimate.high], color=color, lw=1, alpha=0.6)
        axes.plot([x], [estimate.value], 'o', color=color, ms=3.5)


def draw_bland_altman(models: dict[str, ModelLesions], target: str) -> Figure:
    """Difference of volumes against their mean, a panel per model, with bias and limits."""
    figure, (row,) = panels(1, len(models), height=3.2)
    figure.set_size_inches(4.2 * len(models), 3.2)
    for axes, (name, model) in zip(row, models.items()):
        rows = [each.targets[target] for each in model.scans]
        true, found = np.array([(each.true_ml, each.found_ml) for each in rows]).T
        axes.axhline(0, color=FAINT, lw=1, ls='--')
        axes.plot((true + found) / 2, found - true, 'o', color=COLORS[0], ms=4, alpha=0.8)
        for key, style in (('bias', '-'), ('limit_low', '--'), ('limit_high', '--')):
            estimate = model.figures[target][key]
            if not np.isfinite(estimate.value):
                continue
            axes.axhline(estimate.value, color=COLORS[1], lw=1.3, ls=style)
            if estimate.has_interval:
                axes.axhspan(estimate.low, estimate.high, color=COLORS[1], alpha=0.12, lw=0)
            axes.annotate(
                f'{estimate.value:+,.0f}'.replace('-', '−'),
                (1, estimate.value),
                xycoords=('axes fraction', 'data'),
                ha='right',
                va='bottom',
                fontsize=8,
                color=COLORS[1],
            )
        axes.set(title=name, xlabel='mean of true and found, ml', ylabel='found − true, ml')
    low, high = np.array([axes.get_ylim() for axes in row]).T
    for axes in row:  # one scale, also where all differences are 0
        axes.set_ylim(min(*low, -1), max(*high, 1))
    return figure


def draw_all(report: LesionReport) -> dict[str, Figure]:
    """All plots of a report, by file name without suffix."""
    with matplotlib.rc_context(STYLE):
        plots = dict(bland_altman=draw_bland_altman(report.models, LESIONS))
        if froc := draw_froc(report):
            plots['froc'] = froc
    return plots
