"""What all reports share: one HTML file that opens offline, plots, tables."""
from .page import data_uri, figure, number, page, picture_uri, svg_figure, table
from .plots import COLORS, FAINT, STYLE, colors_of, panels, save_plots
from .tables import write_csv

__all__ = [
    'COLORS', 'FAINT', 'STYLE', 'colors_of', 'data_uri', 'figure', 'number', 'page', 'panels',
    'picture_uri', 'save_plots', 'svg_figure', 'table', 'write_csv'
]
