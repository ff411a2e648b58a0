"""The profile along a scan."""

from collections.abc import Callable, Sequence
from functools import partial

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mmcovid.classes import Classes
from mmcovid.reporting import COLORS, FAINT, STYLE, panels
from mmcovid.results import ScanFamiliarity, ScanSlice


def draw_profile(
    rows: Sequence[ScanSlice], classes: Classes, familiarity: ScanFamiliarity | None = None
) -> Figure | None:
    """What is known of each slice along a scan: lesion load, class scores, weight, distance.

    Args:
        rows (Sequence[ScanSlice]): Of the scan, in its order.
        classes (Classes): Of the lesions and the slices.
        familiarity (ScanFamiliarity, optional): Of the scan, with the threshold. Defaults to None.

    Returns:
        Figure | None: None of a single slice.
    """
    parts = _parts_of(rows, familiarity)
    if len(rows) < 2 or not parts:
        return None
    with matplotlib.rc_context(STYLE):
        figure, axes = panels(len(parts), 1, height=2.1)
        figure.set_size_inches(8, 2.2 * len(parts))
        for axis, draw in zip(axes[:, 0], parts):
            draw(axis, rows, classes)
            _lay_out(axis, rows)
        unit = 'from the feet to the head' if rows[0].z_mm is not None else 'by file name'
        axes[-1, 0].set_xlabel(f'slice, {unit}')
    return figure


def _parts_of(
    rows: Sequence[ScanSlice], familiarity: ScanFamiliarity | None
) -> list[Callable[[Axes, Sequence[ScanSlice], Classes], None]]:
    """What draws the panels: those that the model tells something for."""
    parts: list[Callable[[Axes, Sequence[ScanSlice], Classes], None]] = []
    row = rows[0]
    if row.pixels is not None:
        parts.append(_draw_load)
    if row.scores is not None:
        parts.append(_draw_scores)
    if any(row.weight is not None for row in rows):
        parts.append(_draw_weights)
    if familiarity is not None:
        parts.append(partial(_draw_distances, threshold=familiarity.threshold))
    return parts


def _lay_out(axis: Axes, rows: Sequence[ScanSlice]) -> None:
    """Slices from end to end, those that have no part in the class on grey, and a legend."""
    for row in rows:
        if not row.in_region:
            axis.axvspan(row.index - 0.5, row.index + 0.5, color=FAINT, alpha=0.35, lw=0, zorder=0)
    axis.set_axisbelow(True)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_xlim(rows[0].index - 0.5, rows[-1].index + 0.5)
    axis.legend(loc='center left', bbox_to_anchor=(1.0, 0.5))


def _draw_load(axis: Axes, rows: Sequence[ScanSlice], classes: Classes) -> None:
    in_cm2 = rows[0].z_mm is not None
    bottom = np.zeros(len(rows))
    for lesion in classes.lesions:
        if lesion.name == classes.lung:
            continue
        load = [load_of(row, lesion.name) for row in rows]
        axis.bar(
            [row.index for row in rows],
            load,
            0.92,
            bottom=bottom,
            color=[value / 255 for value in lesion.color],
            label=lesion.display_name,
        )
        bottom += load
    axis.set_ylabel('lesion area, cm²' if in_cm2 else 'lesion area, pixels')


def load_of(row: ScanSlice, lesion: str) -> float:
    """Area of a lesion class on a slice, in cm², of pictures in pixels."""
    area = (row.area_mm2 or {}).get(lesion)
    return (row.pixels or {}).get(lesion, 0) if area is None else area / 100


def _draw_scores(axis: Axes, rows: Sequence[ScanSlice], classes: Classes) -> None:
    scores = [row.scores for row in rows if row.scores is not None]
    for color, shown in zip(COLORS, classes.images):
        axis.plot(
            [row.index for row in rows],
            [each[shown.name] for each in scores],
            color=color,
            marker='o',
            markersize=2.5,
            linewidth=1.2,
            label=shown.display_name,
        )
    axis.set_ylim(-0.02, 1.02)
    axis.set_ylabel('class score')


def _draw_weights(axis: Axes, rows: Sequence[ScanSlice], classes: Classes) -> None:
    axis.bar(
        [row.index for row in rows],
        [row.weight or 0 for row in rows],
        0.92,
        color=COLORS[0],
        label='weight',
    )
    axis.set_ylabel('weight in the\nclass of the scan')


def _draw_distances(
    axis: Axes, rows: Sequence[ScanSlice], classes: Classes, threshold: float
) -> None:
    axis.plot(
        [row.index for row in rows],
        [row.feature_distance for row in rows if row.feature_distance is not None],
        color=COLORS[0],
        marker='o',
        markersize=2.5,
        linewidth=1.2,
        label='distance',
    )
    axis.axhline(threshold, color=COLORS[1], linestyle='--', label='threshold')
    axis.set_ylim(bottom=0)
    axis.set_ylabel('distance from\ntraining data')
