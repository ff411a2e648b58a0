"""The lungs of a slice, by threshold, whatever its grey levels mean."""

import cv2
import numpy as np

#: Least area of a part of a lung, as a share of the image and of the largest part: windpipe and
#: bowel are smaller.
_LEAST_OF_IMAGE, _LEAST_OF_LARGEST = 0.003, 0.1
#: Radius of the filter against noise, and width of the rim, as shares of the image's side.
_SMOOTH, _RIM = 0.01, 0.02


def find_lungs(image: np.ndarray) -> np.ndarray:
    """Where both lungs are, with what is dense in them, and with a rim.

    Lung is air that is not joined to a corner of the image, so that lungs that the image cuts off
    are found, too. A lesion at the pleura can be as dense as the chest wall; so each lung is the
    convex hull of its air and of the other lung's, mirrored, with a rim. Parts of heart,
    diaphragm and chest wall come with it: no segmentation, but little of a lung is left out.

    Args:
        image (np.ndarray): Slice, (H, W), of any number type; air is dark.

    Returns:
        np.ndarray: (H, W), bool; empty if no lung is found.
    """
    lungs, width = np.zeros(image.shape, np.uint8), image.shape[1]
    stretched = image.astype(np.float32, order='C')
    cv2.normalize(stretched, stretched, 0, 255, cv2.NORM_MINMAX)
    radius = max(1, round(_SMOOTH * max(image.shape)))
    grey = cv2.medianBlur(stretched.astype(np.uint8), 2 * radius + 1)
    _, tissue = cv2.threshold(grey, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    if not tissue.any():
        return lungs.astype(bool)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(1 - tissue, connectivity=4)
    areas = stats[:, cv2.CC_STAT_AREA]
    areas[[0, *labels[[0, 0, -1, -1], [0, -1, 0, -1]]]] = 0  # tissue, and what the corners show
    least = max(_LEAST_OF_IMAGE * image.size, _LEAST_OF_LARGEST * areas.max())
    middle = np.nonzero(tissue)[1].mean()
    row, column = np.nonzero((areas >= least)[labels])
    # what the other lung mirrors onto a lung makes up for lesions as dense as the chest wall
    row = np.concatenate([row, row])
    column = np.concatenate([column, np.round(2 * middle - column).astype(int)])
    points = np.column_stack([column, row]).astype(np.int32)[(column >= 0) & (column < width)]
    for lung in points[points[:, 0] < middle], points[points[:, 0] >= middle]:
        if len(lung):
            cv2.fillConvexPoly(lungs, cv2.convexHull(lung), 1)
    rim = 2 * round(_RIM * max(image.shape)) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (rim, rim))
    return cv2.dilate(lungs, kernel).astype(bool)
