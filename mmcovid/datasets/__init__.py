"""Sets of slices: with lesion masks, with classes, both, and of CT volumes."""

from mmcovid.classes import IMAGE_CLASSES
from mmcovid.data_tools.slice_names import SliceName, parse_slice_name

from .lesion_dataset import LesionDataset
from .samplers import InfiniteSampler, MultiSourceSampler
from .slice_dataset import SliceDataset
from .two_task_dataset import TwoTaskDataset
from .volume_dataset import VolumeDataset

__all__ = [
    'IMAGE_CLASSES',
    'InfiniteSampler',
    'LesionDataset',
    'MultiSourceSampler',
    'SliceDataset',
    'SliceName',
    'TwoTaskDataset',
    'VolumeDataset',
    'parse_slice_name',
]
