"""Which slices of a volume show the body or the lungs, by threshold."""
import cv2
import numpy as np

from .volume import CTVolume

REGIONS = ('body', 'lung')
#: Between air and lung on one side, soft tissue on the other, in HU.
_TISSUE = -400
#: Between lung and air or a table's foam, in HU, which tells by its median what the border cuts.
_LUNG = -900
#: Least areas in cm²: tables and wires are smaller than a body, windpipe and bowel than lungs.
_LEAST_BODY, _LEAST_LUNG = 80, 15
#: Pixels are thinned out to about this distance, in mm.
_STEP = 2


def find_region(volume: CTVolume, region: str) -> range:
    """The longest run of slices that show a region.

    Args:
        volume (CTVolume): Chest CT.
        region (str): ``'body'``, soft tissue of 80 cm² or more, or ``'lung'``, air of 15 cm² or
            more that tissue and the image border enclose. No segmentation: a rough range to leave
            out what is above and below.

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
    areas = [_area(each, region) for each in thinned]
    best, start = range(0), 0
    for i, area in enumerate([*areas, 0]):
        if area < pixels:
            best, start = max(best, range(start, i), key=len), i + 1
    return best


def _area(hu: np.ndarray, region: str) -> int:
    """Pixels of a slice that belong to a region."""
    tissue = hu >= _TISSUE
    if region == 'body':
        return int(tissue.sum())
    _, labels = cv2.connectedComponents((~tissue).astype(np.uint8), connectivity=4)
    border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    # a crop may cut the lungs, so not all that touches the border is outside the body
    outside = [label for label in np.unique(border) if np.median(hu[labels == label]) < _LUNG]
    return int((~tissue & ~np.isin(labels, outside)).sum())
