"""One command for whole scans: masks, numbers and a page for each; see ``docs/en/scan.md``."""
from .inputs import Scan, find_scans
from .run import Settings, run_scans

__all__ = ['Scan', 'Settings', 'find_scans', 'run_scans']
