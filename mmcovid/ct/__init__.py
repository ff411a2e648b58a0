"""CT as it comes from a scanner: reading, windowing, and masks on the same grid."""
from .dicom import Series, list_series
from .lungs import find_lungs
from .regions import find_region
from .slices import (
    SlicePath,
    find_slice,
    find_volumes,
    has_dicom,
    is_ct,
    list_slices,
    read_picture,
    read_volume,
)
from .volume import (
    LEVEL,
    WIDTH,
    CTVolume,
    Grid,
    apply_window,
    check_size,
    to_stored,
    volume_suffix,
    write_mask,
)

__all__ = [
    'LEVEL', 'WIDTH', 'CTVolume', 'Grid', 'Series', 'SlicePath', 'apply_window', 'check_size',
    'find_lungs', 'find_region', 'find_slice', 'find_volumes', 'has_dicom', 'is_ct',
    'list_series', 'list_slices', 'read_picture', 'read_volume', 'to_stored', 'volume_suffix',
    'write_mask'
]
