"""Masks of boxes as masks of a slice, by numpy."""

import numpy as np


def paste_mask(
    mask: np.ndarray, box: np.ndarray, shape: tuple[int, int], threshold: float
) -> np.ndarray:
    """Put the mask of a box where the box is, as MMDetection does.

    Between the centres of its pixels the mask is linear, and zero outside. A box of no extent has
    no mask, as in :class:`mmcovid.models.OneShotMaskHead`.

    Args:
        mask (np.ndarray): (h, w), values in 0..1, of which pixels are equal parts of the box.
        box (np.ndarray): (4,), x1, y1, x2, y2 in pixels of the slice.
        shape (tuple[int, int]): Height and width of the slice.
        threshold (float): Least value of a pixel of the mask.

    Returns:
        np.ndarray: (H, W), bool.
    """
    pasted = np.zeros(shape, bool)
    if (box[2:] <= box[:2]).any():
        return pasted
    x1, y1, x2, y2 = box.astype(np.float32)
    rows, row_weights = _interpolation(y1, y2, mask.shape[0], shape[0])
    columns, column_weights = _interpolation(x1, x2, mask.shape[1], shape[1])
    # bilinear interpolation on a grid is linear along rows, then along columns
    pasted[rows, columns] = row_weights @ mask @ column_weights.T >= threshold
    return pasted


def _interpolation(
    low: np.float32, high: np.float32, size: int, length: int
) -> tuple[slice, np.ndarray]:
    """Pixels of the slice around a box along one axis, and what each takes of the mask's pixels.

    Args:
        low (float): Where the box begins.
        high (float): Where it ends.
        size (int): Pixels of the mask.
        length (int): Pixels of the slice.

    Returns:
        tuple[slice, np.ndarray]: n pixels, and weights (n, size).
    """
    first = max(int(np.floor(low)) - 1, 0)
    last = max(min(int(np.ceil(high)) + 1, length), first)
    centres = np.arange(first, last, dtype=np.float32) + np.float32(0.5)
    position = (centres - low) / (high - low) * size - np.float32(0.5)
    distance = np.abs(position[:, None] - np.arange(size, dtype=np.float32))
    return slice(first, last), np.maximum(1 - distance, 0)
