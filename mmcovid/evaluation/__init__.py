from .metrics import DumpSlices, ImageLevelMetric, LesionMetric
from .task_evaluator import TaskEvaluator

__all__ = ['DumpSlices', 'ImageLevelMetric', 'LesionMetric', 'TaskEvaluator']
