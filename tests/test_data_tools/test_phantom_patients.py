import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmcovid.data_tools.conversion import find_instances
from mmcovid.data_tools.phantom.patients import (
    CONSOLIDATION,
    GGO,
    LESION_LEVELS,
    LUNG,
    confine_lesions,
    draw_patient,
    render_slice,
)

SIZE = 128
levels = st.floats(*LESION_LEVELS)
patients = settings(max_examples=15, deadline=None)


def sides_with(mask, value):
    """Image halves with more than specks of ``value``."""
    return [
        side
        for side, half in (('left', mask[:, : SIZE // 2]), ('right', mask[:, SIZE // 2 :]))
        if (half == value).sum() > 40
    ]


@patients
@given(st.integers(0, 2**16), st.integers(0, 500), st.integers(0, 2), st.floats(0, 1))
def test_any_slice_is_an_image_with_two_lungs(seed, index, label, level):
    image, mask = render_slice(draw_patient(seed, index, label), level, SIZE)
    assert image.shape == mask.shape == (SIZE, SIZE)
    assert image.dtype == mask.dtype == np.uint8
    assert set(np.unique(mask)) <= {0, LUNG, GGO, CONSOLIDATION}
    assert sides_with(mask > 0, True) == ['left', 'right']
    assert 0.05 < (mask > 0).mean() < 0.5
    # lungs are dark and the body around them is bright
    ring = cv2.dilate((mask > 0).astype(np.uint8), np.ones((5, 5))) - (mask > 0)
    assert np.median(image[mask == LUNG]) < np.median(image[ring > 0]) - 50


@patients
@given(st.integers(0, 2**16), levels)
def test_normal_has_no_lesion(seed, level):
    assert render_slice(draw_patient(seed, 1, 0), level, SIZE)[1].max() == LUNG


@patients
@given(st.integers(0, 2**16), levels)
def test_cp_is_one_sided_consolidation(seed, level):
    mask = render_slice(draw_patient(seed, 1, 1), level, SIZE)[1]
    assert len(sides_with(mask, CONSOLIDATION)) == 1
    assert sides_with(mask, GGO) in ([], sides_with(mask, CONSOLIDATION))


@patients
@given(st.integers(0, 2**16), levels)
def test_covid19_is_bilateral_ggo(seed, level):
    mask = render_slice(draw_patient(seed, 1, 2), level, SIZE)[1]
    assert sides_with(mask, GGO) == ['left', 'right']
    # along the pleura: nearer to the edge of the lungs than the lungs' middle is
    depth = cv2.distanceTransform((mask > 0).astype(np.uint8), cv2.DIST_L2, 5)
    assert np.median(depth[mask >= GGO]) < 0.55 * depth.max()


def test_textures_differ_as_the_mask_says():
    values = {GGO: [], CONSOLIDATION: [], LUNG: []}
    for index in range(12):
        image, mask = render_slice(draw_patient(0, index, 1 + index % 2), 0.55, SIZE)
        for value, found in values.items():
            if (mask == value).sum() > 40:
                found.append(np.median(image[mask == value]))
    lung, ggo, consolidation = (np.mean(values[key]) for key in (LUNG, GGO, CONSOLIDATION))
    assert lung + 25 < ggo < consolidation - 40


def test_lesions_change_only_lung_pixels_and_can_be_left_out():
    patient = draw_patient(3, 1, 2)
    before, lungs = render_slice(patient, 0.5, SIZE, with_lesions=False)
    after, mask = render_slice(patient, 0.5, SIZE)
    assert lungs.max() == LUNG and mask.max() > LUNG
    assert ((mask > 0) == (lungs > 0)).all()
    far = cv2.dilate((mask > LUNG).astype(np.uint8), np.ones((25, 25))) == 0
    assert (before[far] == after[far]).all() and (before != after).any()


def test_slices_of_a_patient_share_anatomy_and_lesions():
    patient = draw_patient(4, 1, 1)
    masks = [render_slice(patient, level, SIZE)[1] for level in (0.5, 0.55)]
    lesions = [mask == CONSOLIDATION for mask in masks]
    overlap = (lesions[0] & lesions[1]).sum() / (lesions[0] | lesions[1]).sum()
    assert overlap > 0.7


def test_same_seed_same_pixels_other_seed_other_patient():
    first = render_slice(draw_patient(5, 1, 2), 0.5, SIZE)
    again = render_slice(draw_patient(5, 1, 2), 0.5, SIZE)
    other = render_slice(draw_patient(6, 1, 2), 0.5, SIZE)
    assert all((a == b).all() for a, b in zip(first, again))
    assert (first[1] != other[1]).mean() > 0.01


@pytest.mark.parametrize(('label', 'category'), [(1, 3), (2, 2)])
def test_lesions_pass_the_converter_at_the_size_of_the_demo(label, category):
    """At 256 pixels the lesions of the class are large instances."""
    for index in range(6):
        mask = render_slice(draw_patient(1, index, label), 0.45, 256)[1]
        found = [each for each in find_instances(mask)[0] if each['category_id'] == category]
        assert 25 <= max(max(each['bbox'][2:]) for each in found) <= 130


def test_no_such_class():
    with pytest.raises(ValueError, match='from 0 to 2, not 3'):
        draw_patient(0, 0, 3)


@pytest.mark.parametrize('label', [1, 2])
@pytest.mark.parametrize('share', [0.1, 0.5])
def test_lesions_on_a_share_of_the_slices_one_after_the_other(label, share):
    patient = confine_lesions(draw_patient(3, 5, label), share)
    levels = np.linspace(0, 1, 40)
    shown = [(render_slice(patient, level, SIZE)[1] > LUNG).any() for level in levels]
    first, last = np.flatnonzero(shown)[[0, -1]]
    assert all(shown[first : last + 1])
    assert 0.5 * share <= np.mean(shown) <= share + 1 / 40
    with pytest.raises(ValueError, match='share of the slices'):
        confine_lesions(patient, 0)
