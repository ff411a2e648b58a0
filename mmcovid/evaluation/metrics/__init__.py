"""Metrics: registered parts that configs name."""

from .dump_slices import DumpSlices
from .image_level_metric import ImageLevelMetric
from .lesion_metric import LesionMetric
from .per_image_ap import PerImageAP

__all__ = ['DumpSlices', 'ImageLevelMetric', 'LesionMetric', 'PerImageAP']
