"""Where in a slice boxes lie: in which part of the lungs, in true lesions.

One axial slice tells neither lobe nor height, so the parts are those that it does tell. The lung
field is what the model found of lungs, with the lesions that touch them. "Left" is the left of the
image, and ventral is its top, as in slices of supine patients that are shown in the usual way.
"""

import cv2
import numpy as np
from scipy import ndimage

from mmcovid.classes import Classes

#: Three ways to part the lungs in two, and what is not lung.
SLICE_REGIONS = (
    'image left',
    'image right',
    'ventral',
    'dorsal',
    'peripheral',
    'central',
    'outside',
)


def lung_field(
    masks: np.ndarray,
    labels: np.ndarray,
    scores: np.ndarray,
    classes: Classes,
    score_thr: float = 0.3,
) -> np.ndarray | None:
    """The lungs that were found, lesions in them included and holes filled.

    Args:
        masks (np.ndarray): Of predicted lungs and lesions, (n, H, W), bool.
        labels (np.ndarray): Their lesion classes, (n,), int.
        scores (np.ndarray): (n,).
        classes (Classes): Of the model.
        score_thr (float): Least score that counts. Defaults to 0.3.

    Returns:
        np.ndarray | None: (H, W), bool; None if no lung was found.
    """
    found = scores >= score_thr
    masks = masks[found]
    lung = masks[_are_lungs(labels[found], classes)].any(axis=0)
    if not lung.any():
        return None
    pieces, _ = ndimage.label(masks.any(axis=0))
    return ndimage.binary_fill_holes(np.isin(pieces, np.unique(pieces[lung])))


def region_maps(field: np.ndarray) -> np.ndarray:
    """The parts of a slice.

    Args:
        field (np.ndarray): Lungs, (H, W), bool, not empty.

    Returns:
        np.ndarray: A map for each of :data:`SLICE_REGIONS`, (7, H, W), float, 0 or 1. Left and
        right are the halves of the lungs' bounding box; they are nan if this is no wider than
        high, as then only one lung was found. Ventral and dorsal are its upper and lower half.
        Peripheral is the half of the lungs' pixels that is nearer to their edge, that of the
        mediastinum included; central is the other half.
    """
    rows, columns = (np.flatnonzero(field.any(axis=axis)) for axis in (1, 0))
    (top, bottom), (left, right) = ((places[0], places[-1] + 1) for places in (rows, columns))
    y, x = np.ogrid[: field.shape[0], : field.shape[1]]
    upper, lefthand = y + 0.5 < (top + bottom) / 2, x + 0.5 < (left + right) / 2
    padded = np.pad(field, 1).astype(np.uint8)  # the border of the slice is an edge, too
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    deep = depth > np.median(depth[field])
    maps = np.stack(
        [
            field & lefthand,
            field & ~lefthand,
            field & upper,
            field & ~upper,
            field & ~deep,
            field & deep,
            ~field,
        ]
    ).astype(float)
    if right - left <= bottom - top:
        maps[:2] = np.nan
    return maps


def shares_in(boxes: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """The share of each box's pixels that lies in each region.

    Args:
        boxes (np.ndarray): (n, 4) as x1, y1, x2, y2 in pixels; a thinner box is one pixel wide.
        maps (np.ndarray): (m, H, W), 0 or 1.

    Returns:
        np.ndarray: (n, m).
    """
    height, width = maps.shape[1:]
    x1, y1 = (
        np.clip(np.floor(boxes[:, i]).astype(int), 0, last - 1)
        for i, last in ((0, width), (1, height))
    )
    x2, y2 = (
        np.clip(np.ceil(boxes[:, i]).astype(int), low + 1, last)
        for i, low, last in ((2, x1, width), (3, y1, height))
    )
    sums = np.pad(maps.cumsum(1).cumsum(2), ((0, 0), (1, 0), (1, 0)))  # nan stays nan
    inside = sums[:, y2, x2] - sums[:, y1, x2] - sums[:, y2, x1] + sums[:, y1, x1]
    return (inside / ((y2 - y1) * (x2 - x1))).T


def true_lesions(masks: np.ndarray, labels: np.ndarray, classes: Classes) -> np.ndarray:
    """All true lesions of a slice, without the lungs.

    Args:
        masks (np.ndarray): Of true lungs and lesions, (n, H, W), bool.
        labels (np.ndarray): Their lesion classes, (n,), int.
        classes (Classes): Of the data set.

    Returns:
        np.ndarray: (H, W), bool.
    """
    return masks[~_are_lungs(labels, classes)].any(axis=0)


def _are_lungs(labels: np.ndarray, classes: Classes) -> np.ndarray:
    """Which of some labels are those of lungs, (n,), bool."""
    return np.array([classes.is_lung(int(label)) for label in labels], bool)
