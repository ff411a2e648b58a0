from .lesion_dataset import LesionDataset
from .samplers import InfiniteSampler, MultiSourceSampler
from .slice_dataset import SliceDataset
from .slice_names import IMAGE_CLASSES, SliceName, parse_slice_name
from .two_task_dataset import TwoTaskDataset
from .volume_dataset import VolumeDataset

__all__ = [
    'IMAGE_CLASSES', 'InfiniteSampler', 'LesionDataset', 'MultiSourceSampler', 'SliceDataset',
    'SliceName', 'TwoTaskDataset', 'VolumeDataset', 'parse_slice_name'
]
