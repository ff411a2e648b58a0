"""Masks of MMDetection's samples as arrays."""

import cv2
import numpy as np
import torch
from mmdet.structures.mask import BitmapMasks, PolygonMasks
from mmengine.structures import InstanceData


def mask_stack(instances: InstanceData, size: tuple[int, int]) -> np.ndarray:
    """Masks of instances as an array.

    Args:
        instances (InstanceData): With ``masks`` (tensor, array, or MMDetection's mask
            structures) or without any.
        size (tuple[int, int]): Height and width to bring the masks to, in pixels.

    Returns:
        np.ndarray: (n, height, width), bool.
    """
    masks = instances.get('masks')
    if masks is None:
        return np.zeros((0, *size), bool)
    if isinstance(masks, (BitmapMasks, PolygonMasks)):
        masks = masks.to_ndarray()
    masks = torch.as_tensor(masks).cpu().numpy().astype(np.uint8)
    if masks.shape[1:] != size and len(masks):
        # Linear and cut at one half: smoother outlines than enlarged pixels have.
        masks = np.stack([cv2.resize(mask * 255, size[::-1]) > 127 for mask in masks])
    return masks.reshape(-1, *size).astype(bool)
