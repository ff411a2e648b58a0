"""CT as it comes from a scanner: reading, windowing, and masks on the same grid."""

from mmcovid.utils.budget import Budget, check_size, read_budget

from .dicom import Series, list_series
from .inputs import (
    PICTURE_SUFFIXES,
    InputKind,
    find_volumes,
    has_dicom,
    is_ct,
    is_picture,
    kind_of,
)
from .lungs import find_lungs
from .pictures import check_picture, read_grey, read_slice, to_grey
from .regions import find_region
from .segments import Segment, read_segments
from .slice_path import SlicePath
from .slices import find_slice, list_slices, read_picture, read_volume
from .volume import (
    LEVEL,
    WIDTH,
    CTVolume,
    Grid,
    apply_window,
    from_stored,
    to_stored,
    volume_suffix,
    voxel_ml,
    write_mask,
    write_volume,
)

__all__ = [
    'Budget',
    'LEVEL',
    'PICTURE_SUFFIXES',
    'WIDTH',
    'CTVolume',
    'Grid',
    'InputKind',
    'Segment',
    'Series',
    'SlicePath',
    'apply_window',
    'check_picture',
    'check_size',
    'find_lungs',
    'find_region',
    'find_slice',
    'find_volumes',
    'from_stored',
    'has_dicom',
    'is_ct',
    'is_picture',
    'kind_of',
    'list_series',
    'list_slices',
    'read_budget',
    'read_grey',
    'read_picture',
    'read_segments',
    'read_slice',
    'read_volume',
    'to_grey',
    'to_stored',
    'volume_suffix',
    'voxel_ml',
    'write_mask',
    'write_volume',
]
