"""A report of dumped predictions for reviewers; see ``mmcovid report``."""

from mmcovid.results import EvaluationSettings as Settings

from .load import load_models, load_validation
from .measure import compute
from .write import write_report

__all__ = ['Settings', 'compute', 'load_models', 'load_validation', 'write_report']
