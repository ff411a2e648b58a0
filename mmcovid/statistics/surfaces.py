"""How far the surfaces of two masks are apart."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

#: What of a mask has a neighbour outside of it, by a side, is its surface.
_BY_SIDES = ndimage.generate_binary_structure(3, 1)


def surface_distances(
    first: np.ndarray, second: np.ndarray, spacing: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Distances of the surface voxels of two masks from the surface of the other one.

    Args:
        first (np.ndarray): (Z, H, W), bool, not empty.
        second (np.ndarray): The same of the other one.
        spacing (Sequence[float]): Of the three axes, in mm.

    Returns:
        tuple[np.ndarray, np.ndarray]: In mm, of the surface voxels of the first and of the second.
    """
    box = ndimage.find_objects((first | second).view(np.uint8))[0]
    first, second = (
        mask[box] & ~ndimage.binary_erosion(mask[box], _BY_SIDES) for mask in (first, second)
    )
    from_first, from_second = (
        ndimage.distance_transform_edt(~surface, sampling=spacing) for surface in (first, second)
    )
    return from_second[first], from_first[second]


def surface_figures(
    true: np.ndarray, found: np.ndarray, spacing: Sequence[float], tolerance: float
) -> dict[str, float]:
    """Figures of the distance of two surfaces, by their voxels.

    Args:
        true (np.ndarray): (Z, H, W), bool.
        found (np.ndarray): The same of the prediction.
        spacing (Sequence[float]): Of the three axes, in mm.
        tolerance (float): In mm.

    Returns:
        dict[str, float]: ``hd95``, the larger of the 95th percentiles of both directions, and
        ``assd``, the mean of both directions together, in mm; ``nsd``, the share of both surfaces
        that is at most the tolerance away from the other. If one mask is empty, distances are nan
        and the share is 0; if both are, all are nan.
    """
    if not (true.any() and found.any()):
        nothing = float('nan')
        return dict(hd95=nothing, assd=nothing, nsd=0.0 if true.any() or found.any() else nothing)
    both = surface_distances(true, found, spacing)
    together = np.concatenate(both)
    return dict(
        hd95=float(max(np.percentile(distances, 95) for distances in both)),
        assd=float(together.mean()),
        nsd=float((together <= tolerance).mean()),
    )
