"""What all plots share: colours, type, and files that are the same every time."""

from collections.abc import Collection, Mapping
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from mmcovid.utils.files import atomic_path

#: Okabe and Ito's colours, apart from each other for colour-blind readers too.
COLORS = ('#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9')
INK, FAINT = '#30343b', '#c9ccd1'
STYLE = {
    'text.parse_math': False,  # names of classes and models are no formulae
    'font.family': 'sans-serif',
    'font.sans-serif': ['DejaVu Sans', 'Arial', 'sans-serif'],
    'font.size': 9,
    'axes.titlesize': 9.5,
    'axes.labelsize': 9,
    'axes.edgecolor': '#8a8f98',
    'axes.labelcolor': INK,
    'text.color': INK,
    'xtick.color': INK,
    'ytick.color': INK,
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.grid': True,
    'grid.color': '#eceef0',
    'legend.frameon': False,
    'legend.fontsize': 8,
    # text stays text, and two runs write the same file
    'svg.fonttype': 'none',
    'svg.hashsalt': 'mmcovid',
}


def panels(rows: int, columns: int, height: float = 2.9) -> tuple[Figure, np.ndarray]:
    """A figure of rows and columns of axes, ``height`` inches each; draw in :data:`STYLE`."""
    figure = Figure(figsize=(3.1 * columns + 0.3, height * rows), layout='constrained')
    return figure, figure.subplots(rows, columns, squeeze=False)


def colors_of(names: Collection) -> list[str]:
    """A colour for each name."""
    return [COLORS[i % len(COLORS)] for i in range(len(names))]


def save_plots(figures: Mapping[str, Figure], folder: str | Path) -> dict[str, str]:
    """Write figures as ``<name>.svg`` and ``<name>.png``; the same figure gives the same files.

    Args:
        figures (Mapping[str, Figure]): By name.
        folder (str | Path): Where to write.

    Returns:
        dict[str, str]: SVG text by name.
    """
    texts = {}
    for name, figure in figures.items():
        path = Path(folder, f'{name}.svg')
        for suffix, metadata in (('.svg', dict(Date=None)), ('.png', {})):
            with atomic_path(path.with_suffix(suffix)) as temporary, matplotlib.rc_context(STYLE):
                figure.savefig(temporary, dpi=160, metadata=metadata, facecolor='white')
            figure.set_layout_engine('none')  # laid out once, for both formats
        texts[name] = path.read_text(encoding='utf-8')
    return texts
