"""Label maps: 0 where there is nothing, else 1 + lesion class."""

from collections.abc import Sequence

import numpy as np

from mmcovid.classes import Classes


def paint(masks: np.ndarray, labels: np.ndarray | Sequence[int], classes: Classes) -> np.ndarray:
    """A label map of instance masks; where they overlap, the higher class is above.

    Args:
        masks (np.ndarray): (n, H, W), bool.
        labels (np.ndarray | Sequence[int]): Lesion classes, (n,).
        classes (Classes): Their meaning: the lung is below all others, whatever its label.

    Returns:
        np.ndarray: (H, W) uint8, 0 where there is no instance, else 1 + its class.
    """
    painted, labels = np.zeros(masks.shape[1:], np.uint8), np.asarray(labels)
    for label in sorted(np.unique(labels), key=lambda label: not classes.is_lung(label)):
        painted[masks[labels == label].any(0)] = label + 1
    return painted


def class_mask(labels: np.ndarray, name: str, classes: Classes) -> np.ndarray:
    """Mask of a class in a label map; the lung's includes the lesions."""
    if name == classes.lung:
        return labels > 0
    return labels == classes.lesion_names.index(name) + 1


def lesion_mask(labels: np.ndarray, classes: Classes) -> np.ndarray:
    """Mask of all lesions in a label map, the lung without them left out."""
    lesions = labels > 0
    if classes.lung is not None:
        lesions &= labels != classes.lesion_names.index(classes.lung) + 1
    return lesions
