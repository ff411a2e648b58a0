"""Pictures of the slices of a scan."""

import cv2
import numpy as np

from mmcovid.classes import Classes
from mmcovid.ct import LEVEL, WIDTH, read_slice
from mmcovid.drawing.rois import WeightedRoIs, draw_rois
from mmcovid.drawing.slices import display_scale, draw_masks, to_rgb8

from .label_maps import class_mask
from .predict import Slice

_SIDE = 512
_ALPHA = 0.35


def draw_views(
    kept: Slice, window: tuple[float, float] | None, classes: Classes
) -> dict[str, np.ndarray]:
    """A slice with its lesions, and with its RoIs by attention, once for each branch.

    Args:
        kept (Slice): Of a scan.
        window (tuple[float, float], optional): Level and width it was predicted in, in HU.
        classes (Classes): Of its label map.

    Returns:
        dict[str, np.ndarray]: Pictures by caption, (H, W, 3), RGB, uint8.
    """
    image = to_rgb8(read_slice(kept.path, window or (LEVEL, WIDTH)))
    height, width = image.shape[:2]
    scale = display_scale(height, width, _SIDE)
    image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    views = {}
    if kept.labels is not None:
        views['Lesions'] = _with_labels(image, kept.labels, classes)
    if kept.rois is not None:
        rois = WeightedRoIs.of(kept.rois)
        views |= {
            caption: draw_rois(image, rois, branch, scale)
            for branch, caption in enumerate(rois.captions)
        }
    return views or {'Slice': image}


def _with_labels(image: np.ndarray, labels: np.ndarray, classes: Classes) -> np.ndarray:
    """A copy of the picture with lesions tinted and the lung, below them, outlined."""
    image = image.copy()
    for lesion in sorted(classes.lesions, key=lambda lesion: lesion.name != classes.lung):
        small = class_mask(labels, lesion.name, classes).astype(np.uint8) * 255
        mask = cv2.resize(small, image.shape[1::-1]) > 127
        alpha = 0 if lesion.name == classes.lung else _ALPHA
        draw_masks(image, mask[None], lesion.color, alpha, 1)
    return image
