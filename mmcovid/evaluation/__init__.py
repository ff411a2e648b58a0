from .metrics import ImageLevelMetric, LesionMetric
from .task_evaluator import TaskEvaluator

__all__ = ['ImageLevelMetric', 'LesionMetric', 'TaskEvaluator']
