"""A report of dumped predictions for reviewers; see ``tools/analysis_tools/report.py``."""
from .build import load_models, load_validation, write_report
from .compute import Settings, compute

__all__ = ['Settings', 'compute', 'load_models', 'load_validation', 'write_report']
