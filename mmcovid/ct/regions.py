"""Which slices of a volume show the body or the lungs, by threshold."""

import numpy as np
from scipy import ndimage

from .volume import CTVolume

REGIONS = ('body', 'lung')
#: Between air and lung on one side, soft tissue on the other, in HU.
_TISSUE = -400
#: Half way between the mean of a lung, about -850, and that of the air around the body, in HU.
_LUNG = -925
#: No air is below: it is what scanners write outside of their circle, in HU.
_PADDING = -1100
#: Neighbours within a slice.
_IN_PLANE = ndimage.generate_binary_structure(3, 1) & np.array([0, 1, 0], bool)[:, None, None]
#: Least areas in cm²: tables and wires are smaller than a body, windpipe and bowel than lungs.
_LEAST_BODY, _LEAST_LUNG = 80, 15
#: Pixels are thinned out to about this distance, in mm.
_STEP = 2


def find_region(volume: CTVolume, region: str) -> range:
    """The longest run of slices that show a region.

    Args:
        volume (CTVolume): Chest CT.
        region (str): ``'body'``, soft tissue of 80 cm² or more, or ``'lung'``, air of 15 cm² or
            more that tissue encloses, or that the edge of the image cuts and that is as dense as
            lung. No segmentation: a rough range to leave out what is above and below.

    Returns:
        range: Indices of slices; empty if none shows it.

    Raises:
        ValueError: The region is another.
    """
    if region not in REGIONS:
        raise ValueError(f'a region is one of {REGIONS}, not {region!r}')
    x, y, _ = volume.spacing
    rows, columns = (max(1, round(_STEP / step)) for step in (y, x))
    thinned = volume.array[:, ::rows, ::columns]
    least = _LEAST_BODY if region == 'body' else _LEAST_LUNG
    pixels = least * 100 / (x * columns * y * rows)
    mask = thinned >= _TISSUE if region == 'body' else _lung(thinned)
    areas = mask.sum(axis=(1, 2))
    best, start = range(0), 0
    for i, area in enumerate([*areas, 0]):
        if area < pixels:
            best, start = max(best, range(start, i), key=len), i + 1
    return best


def _lung(hu: np.ndarray) -> np.ndarray:
    """Air in the lungs, roughly: mask (Z, H, W) of a volume of HU.

    Air that the edge of the image cuts is told apart by its mean, over all slices that it goes
    through: in one slice alone the foam of a table may be as dense as lung.
    """
    padding = hu <= _PADDING
    air = (hu < _TISSUE) & ~padding
    in_slices, _ = ndimage.label(air, _IN_PLANE)
    edge = ndimage.binary_dilation(padding, _IN_PLANE, border_value=1)
    cut = air & np.isin(in_slices, in_slices[edge])
    pieces, count = ndimage.label(cut)
    outside = np.flatnonzero(ndimage.mean(hu, pieces, np.arange(count + 1)) < _LUNG)
    return air & ~(cut & np.isin(pieces, outside))
