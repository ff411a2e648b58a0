"""Small label maps of scans, as files: a truth, and what models found."""

import numpy as np
import SimpleITK as sitk

SPACING = (2.0, 2.0, 5.0)  # x, y, z; a voxel is 0.02 ml


def write_labels(path, labels, spacing=SPACING, direction=None):
    """Write (Z, H, W) as a volume."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(np.asarray(labels, np.uint8))
    image.SetSpacing(spacing)
    if direction is not None:
        image.SetDirection(direction)
    sitk.WriteImage(image, str(path))
    return path


def lungs(*lesions):
    """(6, 16, 24): two lungs, and lesions in them, each a place and a label."""
    labels = np.zeros((6, 16, 24), np.uint8)
    labels[1:5, 2:14, 2:10] = labels[1:5, 2:14, 14:22] = 1
    for place, label in lesions:
        labels[place] = label
    return labels


RIGHT = np.s_[1:3, 3:7, 3:7], 2  # 32 voxels, 0.64 ml
LEFT = np.s_[2:4, 4:8, 15:21], 3  # 48 voxels, 0.96 ml


def write_truth(folder):
    """Truth of three scans: two lesions, one lesion, none."""
    write_labels(folder / 'a.nii.gz', lungs(RIGHT, LEFT))
    write_labels(folder / 'b.nii.gz', lungs(LEFT))
    write_labels(folder / 'c.nii.gz', lungs())
    return folder
