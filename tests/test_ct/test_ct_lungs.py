import numpy as np
import pytest

from mmcovid.ct import find_lungs
from mmcovid.data_tools.phantom.patients import CONSOLIDATION, draw_patient, render_slice


def slices(level=0.5):
    """Two phantom patients of each class."""
    for index in range(6):
        yield render_slice(draw_patient(5, index, index % 3), level, size=192)


@pytest.mark.parametrize('level', [0.2, 0.5, 0.75])
def test_lungs_and_their_lesions_are_found(level):
    for image, mask in slices(level):
        found = find_lungs(image)
        assert found[mask > 0].mean() > 0.93
        assert 2 * (found & (mask > 0)).sum() / (found.sum() + (mask > 0).sum()) > 0.65
        lesions = mask >= 2
        assert not lesions.any() or found[lesions].mean() > 0.85
        assert found.mean() < 0.4 and not found[0].any() and not found[-1].any()


def test_consolidation_at_the_pleura_belongs_to_the_lung():
    image, mask = next(
        (image, mask) for image, mask in slices() if (mask == CONSOLIDATION).mean() > 0.01
    )
    dense = (mask == CONSOLIDATION) & (image > 180)
    assert find_lungs(image)[dense].mean() > 0.9


def test_lungs_at_the_border_are_no_outside_air():
    for image, mask in slices():
        _, columns = np.nonzero(mask)
        cut = slice(columns.min() + 15, columns.max() - 14)  # cuts off a part of both lungs
        image, mask = image[:, cut], mask[:, cut]
        assert (mask[:, [0, -1]] > 0).any()
        assert find_lungs(image)[mask > 0].mean() > 0.9


@pytest.mark.parametrize(
    'change',
    [
        lambda image: image.astype(np.uint16) * 200 + 3000,
        lambda image: image / 255.0,
        lambda image: image.astype(np.int16) - 1024,
    ],
)
def test_grey_levels_mean_nothing(change):
    image, _ = next(slices())
    assert np.mean(find_lungs(change(image)) != find_lungs(image)) < 0.01


@pytest.mark.parametrize(
    'image',
    [
        np.zeros((40, 50)),
        np.full((40, 50), 7, np.uint8),
        np.pad(np.full((30, 30), 200, np.uint8), 10),
    ],
)
def test_slice_without_lungs(image):
    found = find_lungs(image)
    assert found.shape == image.shape and not found.any()
