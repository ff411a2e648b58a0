"""Evaluator and metrics of both tasks."""

from mmcovid.statistics.lesion_ap import per_image_ap

from .metrics import DumpSlices, ImageLevelMetric, LesionMetric, PerImageAP
from .task_evaluator import TaskEvaluator

__all__ = [
    'DumpSlices',
    'ImageLevelMetric',
    'LesionMetric',
    'PerImageAP',
    'TaskEvaluator',
    'per_image_ap',
]
