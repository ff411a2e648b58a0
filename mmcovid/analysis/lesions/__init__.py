"""Segmented scans against true label maps; see ``mmcovid lesions``."""

from mmcovid.results import LesionSettings as Settings

from .load import load_models, read_patients
from .measure import compare
from .write import write_report

__all__ = ['Settings', 'compare', 'load_models', 'read_patients', 'write_report']
