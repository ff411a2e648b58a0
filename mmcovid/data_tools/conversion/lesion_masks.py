"""Read masks of lesions and cut them into instances."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from pycocotools import mask as rle

from mmcovid.ct import check_picture

#: Mask values that make up each class; the order gives the category ids, 1, 2, ...
CLASS_VALUES = {'lung': (1,), 'ggo': (2,), 'consolidation': (3,)}
MERGED_CLASS_VALUES = {'lung': (1,), 'lesion': (2, 3)}


def read_mask(path: str | Path) -> np.ndarray:
    """Read a mask of grey values, of palette indices or of three equal channels.

    Returns:
        np.ndarray: (H, W), values 0 background, 1 lung, 2 GGO, 3 consolidation.

    Raises:
        OSError: The file cannot be read as an image.
        ValueError: It is larger than a slice, its channels differ, or it has other values.
    """
    check_picture(path)
    with Image.open(path) as image:
        bands = image.getbands()
        mask = np.array(image)  # a palette image gives its indices
    if mask.ndim == 3:
        colours = mask[..., :-1] if bands[-1] == 'A' else mask
        mask = colours[..., 0]
        if (colours != mask[..., None]).any():
            raise ValueError('is a colour image whose channels differ')
    strange = np.setdiff1d(mask, (0, 1, 2, 3)).tolist()
    if strange:
        raise ValueError(f'has the values {strange[:10]}')
    return mask


def find_instances(
    mask: np.ndarray, class_values: Mapping[str, Sequence[int]] = CLASS_VALUES, min_area: int = 100
) -> tuple[list[dict], Counter]:
    """Cut a mask into instances: 8-neighbour components of each class.

    The class is that of the pixel value itself, whichever other values the
    mask has.

    Args:
        mask (np.ndarray): (H, W), values 0 to 3.
        class_values (Mapping): Mask values of each class.
        min_area (int): Components of at most so many pixels are left out.

    Returns:
        tuple: COCO annotations (``category_id``, ``bbox`` as x, y, width and
        height, ``area`` in pixels, ``segmentation`` as RLE, ``iscrowd``)
        without ids, and the number of components left out per class.
    """
    annotations: list[dict] = []
    too_small: Counter[str] = Counter()
    for category_id, (name, values) in enumerate(class_values.items(), 1):
        where = np.isin(mask, values).astype(np.uint8)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(where, connectivity=8)
        for label, row in enumerate(stats[1:], 1):
            *bbox, area = row.tolist()
            if area <= min_area:
                too_small[name] += 1
                continue
            code = rle.encode(np.asfortranarray(labels == label, dtype=np.uint8))
            annotations.append(
                dict(
                    category_id=category_id,
                    bbox=bbox,
                    area=area,
                    segmentation=dict(size=code['size'], counts=code['counts'].decode()),
                    iscrowd=0,
                )
            )
    return annotations, too_small
