from .lesion_dataset import LesionDataset
from .slice_dataset import SliceDataset
from .slice_names import IMAGE_CLASSES, SliceName, parse_slice_name
from .two_task_dataset import TwoTaskDataset

__all__ = [
    'IMAGE_CLASSES', 'LesionDataset', 'SliceDataset', 'SliceName', 'TwoTaskDataset',
    'parse_slice_name'
]
