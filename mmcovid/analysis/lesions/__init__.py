"""Segmented scans against true label maps; see ``mmcovid lesions``."""

from mmcovid.results import LesionSettings as Settings

from .load import find_truth, load_models, with_scores
from .measure import compare
from .write import write_report

__all__ = ['Settings', 'compare', 'find_truth', 'load_models', 'with_scores', 'write_report']
