"""Pictures of slices, and the profile along a scan."""
from collections.abc import Sequence

import cv2
import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mmcovid.datasets.transforms import LoadImageFromFile
from mmcovid.drawing.rois import WeightedRoIs, draw_rois
from mmcovid.drawing.slices import Color, display_scale, draw_masks, to_rgb8
from mmcovid.reporting import COLORS, FAINT, STYLE, panels
from mmcovid.visualization.one_shot_visualizer import DISPLAY_NAMES

from .outputs import class_mask
from .predict import Slice
from .results import LUNG

_SIDE = 512
_ALPHA = 0.35


def draw_views(each: Slice, window: tuple[float, float] | None, classes: Sequence[str],
               palette: Sequence[Color]) -> dict[str, np.ndarray]:
    """A slice with its lesions, and with its RoIs by attention, once for each branch.

    Args:
        each (Slice): Of a scan.
        window (tuple[float, float], optional): Level and width it was predicted in, in HU.
        classes (Sequence[str]): Lesion classes.
        palette (Sequence[tuple[int, int, int]]): Their colours, RGB.

    Returns:
        dict[str, np.ndarray]: Pictures by caption, (H, W, 3), RGB, uint8.
    """
    load = LoadImageFromFile(color_type='unchanged', **(
        dict(window=dict(level=window[0], width=window[1])) if window else {}))
    image = to_rgb8(load(dict(img_path=each.path))['img'])
    scale = display_scale(*image.shape[:2], _SIDE)
    image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    views = {}
    if each.labels is not None:
        views['Lesions'] = _with_labels(image, each.labels, classes, palette)
    if each.rois is not None:
        rois = WeightedRoIs.of(each.rois)
        views |= {caption: draw_rois(image, rois, branch, scale)
                  for branch, caption in enumerate(rois.captions)}
    return views or {'Slice': image}


def _with_labels(image: np.ndarray, labels: np.ndarray, classes: Sequence[str],
                 palette: Sequence[Color]) -> np.ndarray:
    image = image.copy()
    for name, color in zip(classes, palette):
        mask = class_mask(labels, name, classes).astype(np.uint8) * 255
        mask = cv2.resize(mask, image.shape[1::-1]) > 127
        draw_masks(image, mask[None], color, 0 if name == LUNG else _ALPHA, 1)
    return image


def draw_profile(results: dict, classes: Sequence[str], palette: Sequence[Color]) -> Figure | None:
    """Lesion load and class scores of each slice along the scan.

    Args:
        results (dict): Of the scan.
        classes (Sequence[str]): Lesion classes.
        palette (Sequence[tuple[int, int, int]]): Their colours, RGB.

    Returns:
        Figure | None: None of a single slice.
    """
    rows = results['slices']
    index = [row['index'] for row in rows]
    parts = ['pixels'] * ('pixels' in rows[0]) + ['scores'] * ('scores' in rows[0])
    if len(rows) < 2 or not parts:
        return None
    with matplotlib.rc_context(STYLE):
        figure, axes = panels(len(parts), 1, height=2.1)
        figure.set_size_inches(8, 2.2 * len(parts))
        for axis, part in zip(axes[:, 0], parts):
            (_draw_load if part == 'pixels' else _draw_scores)(axis, index, rows, classes, palette)
            for row in rows:
                if not row['in_region']:
                    axis.axvspan(row['index'] - .5, row['index'] + .5, color=FAINT, alpha=.35, lw=0,
                                 zorder=0)
            axis.set_axisbelow(True)
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
            axis.set_xlim(min(index) - .5, max(index) + .5)
            axis.legend(loc='center left', bbox_to_anchor=(1.0, .5))
        unit = 'from the feet to the head' if rows[0]['z_mm'] is not None else 'by file name'
        axes[-1, 0].set_xlabel(f'slice, {unit}')
    return figure


def _draw_load(axis: matplotlib.axes.Axes, index: list[int], rows: list[dict],
               classes: Sequence[str], palette: Sequence[Color]) -> None:
    in_cm2 = rows[0]['z_mm'] is not None
    names = [name for name in classes if name != LUNG]
    loads = [[row['area_mm2'][name] / 100 if in_cm2 else row['pixels'][name] for row in rows]
             for name in names]
    colors = [tuple(value / 255 for value in palette[classes.index(name)]) for name in names]
    bottom = np.zeros(len(rows))
    for name, load, color in zip(names, loads, colors):
        axis.bar(index, load, 0.92, bottom=bottom, color=color,
                 label=DISPLAY_NAMES.get(name, name))
        bottom += load
    axis.set_ylabel('lesion area, cm²' if in_cm2 else 'lesion area, pixels')


def _draw_scores(axis: matplotlib.axes.Axes, index: list[int], rows: list[dict],
                 classes: Sequence[str], palette: Sequence[Color]) -> None:
    for color, name in zip(COLORS, rows[0]['scores']):
        axis.plot(index, [row['scores'][name] for row in rows], color=color, marker='o',
                  markersize=2.5, linewidth=1.2, label=DISPLAY_NAMES.get(name, name))
    axis.set_ylim(-.02, 1.02)
    axis.set_ylabel('class score')
