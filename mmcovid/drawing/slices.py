"""Drawing on CT slices: grey levels, masks, RoIs. Images are RGB, (H, W, 3), uint8."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from mmcovid.classes import Color, as_color

#: A slice with fewer grey levels than this looks black or flat: it was read from a 16-bit file
#: with its lower bits cut off.
FEW_LEVELS = 64
#: The dark third of the colour map would vanish on a CT slice.
_WEIGHT_COLORS = cv2.applyColorMap(np.arange(80, 256, dtype=np.uint8), cv2.COLORMAP_PLASMA)


def to_rgb8(image: np.ndarray) -> np.ndarray:
    """Grey levels of any depth as an RGB picture that can be looked at.

    8-bit images keep their grey levels. Others (16 bits, floats, Hounsfield units) are stretched
    so that the range between their 1st and 99.8th percentile fills 0..255.

    Args:
        image (np.ndarray): Slice, (H, W), (H, W, 1), (H, W, 3) or (H, W, 4).

    Returns:
        np.ndarray: RGB, (H, W, 3), uint8, a copy.

    Raises:
        ValueError: If it is no image.
    """
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3 or image.shape[2] not in (1, 3, 4) or 0 in image.shape:
        raise ValueError(
            f'cannot draw an array of shape {image.shape} as a slice; give (H, W) or (H, W, 3)'
        )
    image = image[..., :3]
    if image.dtype != np.uint8:
        image = np.nan_to_num(image.astype(np.float32))
        low, high = np.percentile(image, (1, 99.8))
        image = (image - low) * (255 / max(high - low, 1e-6))
        image = image.clip(0, 255).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(image, (*image.shape[:2], 3)))


def at_full_depth(image: np.ndarray, path: str | None) -> np.ndarray:
    """The slice as it is in its file, if ``image`` is only a crushed 8-bit version of it.

    MMDetection's visualisation hook and inferencer read every file as 8 bits, which leaves
    16 grey levels of a 12-bit CT slice in a 16-bit file.

    Args:
        image (np.ndarray): What was read, (H, W, ...).
        path (str, optional): File that it came from.

    Returns:
        np.ndarray: The 16-bit slice, or ``image`` if there is none.
    """
    if image.dtype != np.uint8 or not path or np.ptp(image) >= FEW_LEVELS:
        return image
    original = cv2.imread(str(path), cv2.IMREAD_UNCHANGED) if Path(path).is_file() else None
    if original is None or original.dtype == np.uint8 or original.shape[:2] != image.shape[:2]:
        return image
    return original


def draw_masks(
    image: np.ndarray, masks: np.ndarray, color: Color, alpha: float, line_width: int
) -> None:
    """Draw the masks of one class, in place: tinted if ``alpha`` > 0, and outlined.

    Without a tint only outer outlines are drawn: the holes that lesions leave in a lung would
    look like lesions.

    Args:
        image (np.ndarray): Picture, (H, W, 3).
        masks (np.ndarray): (n, H, W), bool.
        color (tuple[int, int, int]): RGB.
        alpha (float): Opacity of the tint, 0..1.
        line_width (int): Of the outline, in pixels.
    """
    if not len(masks):
        return
    if alpha:
        covered = masks.any(axis=0)
        tint = np.array(color, np.float32) * alpha
        image[covered] = (image[covered] * (1 - alpha) + tint).astype(np.uint8)
    mode = cv2.RETR_CCOMP if alpha else cv2.RETR_EXTERNAL
    for mask in masks:
        contours, _ = cv2.findContours(mask.astype(np.uint8), mode, cv2.CHAIN_APPROX_SIMPLE)
        cv2.polylines(image, contours, True, color, line_width, cv2.LINE_AA)


def draw_boxes(
    image: np.ndarray, boxes: np.ndarray, colors: Sequence[Color], line_widths: Sequence[int]
) -> None:
    """Draw box outlines, in place, each over those before it.

    Args:
        image (np.ndarray): Picture, (H, W, 3).
        boxes (np.ndarray): (n, 4) as x1, y1, x2, y2 in pixels.
        colors (Sequence[tuple[int, int, int]]): RGB of each box.
        line_widths (Sequence[int]): In pixels.
    """
    for box, color, width in zip(np.round(boxes).astype(int), colors, line_widths):
        left, top = (int(value) for value in box[:2])
        right, bottom = (int(value) - 1 for value in box[2:])
        cv2.rectangle(image, (left, top), (right, bottom), color, width, cv2.LINE_AA)


def weight_colors(shares: np.ndarray) -> list[Color]:
    """Colours of attention weights, violet for 0 to yellow for 1.

    Args:
        shares (np.ndarray): Place of each weight between the lowest (0) and the highest (1).

    Returns:
        list[tuple[int, int, int]]: RGB.
    """
    index = np.round(np.asarray(shares) * (len(_WEIGHT_COLORS) - 1)).astype(int)
    return [as_color(int(value) for value in _WEIGHT_COLORS[i, 0, ::-1]) for i in index]


def merge_repeats(boxes: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each box once, with the sum of its weights.

    A slice with fewer than β RoIs has some of them repeated in its sequence.

    Args:
        boxes (np.ndarray): (β, 4).
        weights (np.ndarray): (β, branches).

    Returns:
        tuple[np.ndarray, np.ndarray]: The first places of the m different boxes in the sequence,
        (m,), ascending, and their weights, (m, branches).
    """
    _, first, inverse = np.unique(boxes, axis=0, return_index=True, return_inverse=True)
    summed = np.zeros((len(first), weights.shape[1]))
    np.add.at(summed, inverse.ravel(), weights)
    order = np.argsort(first)
    return first[order], summed[order]


def display_scale(height: int, width: int, shortest: int, longest: int = 2048) -> float:
    """Factor by which a slice is enlarged to be read well, at least 1.

    Args:
        height (int): Of the slice, in pixels.
        width (int): Of the slice, in pixels.
        shortest (int): Least length of its shorter side in the picture, in pixels.
        longest (int): Most length that enlarging may give the longer side, in pixels.

    Returns:
        float: The factor.
    """
    wanted, most = shortest / min(height, width), longest / max(height, width)
    return max(1.0, min(wanted, most))
