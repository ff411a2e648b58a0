"""One command for whole scans: masks, numbers and a page for each; see ``docs/en/scan.md``.

Any :class:`SlicePredictor` will do; this room needs neither PyTorch nor MMDetection.
"""

from .inputs import Scan, find_scans
from .predictor import SlicePredictor
from .run import run_scans
from .settings import REGIONS, Settings

__all__ = ['REGIONS', 'Scan', 'Settings', 'SlicePredictor', 'find_scans', 'run_scans']
