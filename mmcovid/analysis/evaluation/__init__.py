"""A report of dumped predictions for reviewers; see ``tools/analysis_tools/report.py``."""
from .measure import Settings, compute
from .write import load_models, load_validation, write_report

__all__ = ['Settings', 'compute', 'load_models', 'load_validation', 'write_report']
