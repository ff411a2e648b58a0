from .dump_slices import DumpSlices
from .image_level_metric import ImageLevelMetric
from .lesion_metric import LesionMetric

__all__ = ['DumpSlices', 'ImageLevelMetric', 'LesionMetric']
