import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mmcovid.statistics.surfaces import surface_distances, surface_figures

SPACING = (5.0, 0.7, 0.9)
masks = arrays(bool, (4, 5, 6))


def block(z=2, y=3, x=3, shape=(6, 12, 12), size=(2, 3, 4)):
    mask = np.zeros(shape, bool)
    mask[z : z + size[0], y : y + size[1], x : x + size[2]] = True
    return mask


@pytest.mark.parametrize('axis, step', enumerate(SPACING))
def test_planes_are_as_far_apart_as_they_were_moved(axis, step):
    plane = np.zeros((8, 8, 8), bool)
    plane[(slice(None),) * axis + (2,)] = True
    found = surface_figures(plane, np.roll(plane, 3, axis), SPACING, tolerance=3 * step)
    assert found == pytest.approx(dict(hd95=3 * step, assd=3 * step, nsd=1))
    assert surface_figures(plane, np.roll(plane, 3, axis), SPACING, 2.9 * step)['nsd'] == 0


def test_the_same_mask_is_no_distance_away():
    assert surface_figures(block(), block(), SPACING, 0) == dict(hd95=0, assd=0, nsd=1)


def test_empty_masks_are_told_apart():
    empty = np.zeros_like(block())
    for one_side in (
        surface_figures(block(), empty, SPACING, 2),
        surface_figures(empty, block(), SPACING, 2),
    ):
        assert one_side['nsd'] == 0 and np.isnan([one_side['hd95'], one_side['assd']]).all()
    assert np.isnan(list(surface_figures(empty, empty, SPACING, 2).values())).all()


def brute_force(first, second, spacing):
    """Distances of each surface voxel of the first mask to all of the second."""

    def surface(mask):
        padded = np.pad(mask, 1)
        inside = padded.copy()
        for axis in range(3):
            for shift in (-1, 1):
                inside &= np.roll(padded, shift, axis)
        return (np.argwhere(padded & ~inside) - 1) * spacing

    one, other = surface(first), surface(second)
    return np.sqrt(((one[:, None] - other[None]) ** 2).sum(2)).min(1)


@settings(max_examples=30, deadline=None)
@given(masks, masks, st.tuples(*[st.sampled_from([0.5, 1.0, 3.3])] * 3))
def test_distances_are_those_of_the_definition(first, second, spacing):
    first[0, 0, 0] = second[3, 4, 5] = True
    found = surface_distances(first, second, spacing)
    assert sorted(found[0]) == pytest.approx(sorted(brute_force(first, second, spacing)))
    assert sorted(found[1]) == pytest.approx(sorted(brute_force(second, first, spacing)))


@pytest.mark.slow
@pytest.mark.parametrize('seed', range(4))
def test_figures_are_monais(seed):
    """MONAI's are by other authors, of the same surface voxels."""
    monai = pytest.importorskip('monai.metrics')
    import torch

    first, second = np.random.default_rng(seed).random((2, 4, 5, 6)) < [[[[0.3]]], [[[0.6]]]]
    pred, true = (torch.as_tensor(mask)[None, None] for mask in (second, first))
    told = dict(include_background=True, spacing=SPACING)
    found = surface_figures(first, second, SPACING, tolerance=1.0)
    assert found['hd95'] == pytest.approx(
        monai.compute_hausdorff_distance(pred, true, percentile=95, **told).item(), abs=1e-4
    )
    assert found['assd'] == pytest.approx(
        monai.compute_average_surface_distance(pred, true, symmetric=True, **told).item(), abs=1e-4
    )
    assert found['nsd'] == pytest.approx(
        monai.compute_surface_dice(pred, true, [1.0], **told).item(), abs=1e-4
    )
