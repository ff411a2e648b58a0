"""What all reports share: one HTML file that opens offline, plots, tables."""

from .plots import COLORS, FAINT, INK, STYLE, colors_of, panels, save_plots
from .tables import write_csv
from .uris import data_uri, picture_uri

__all__ = [
    'COLORS',
    'FAINT',
    'INK',
    'STYLE',
    'colors_of',
    'data_uri',
    'panels',
    'picture_uri',
    'save_plots',
    'write_csv',
]
