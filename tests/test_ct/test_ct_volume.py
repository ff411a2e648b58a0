import itertools
import resource

import numpy as np
import pytest
import SimpleITK as sitk
from ct_utils import chest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.transform import Rotation

from mmcovid.ct import Grid, apply_window, from_stored, read_volume, write_mask
from mmcovid.ct.volume import make_volume, write_image

hu_arrays = hnp.arrays(np.int16, hnp.array_shapes(min_dims=2, max_dims=3, max_side=6))
levels, widths = st.floats(-2000, 2000), st.floats(1, 5000)


@given(hu_arrays, levels, widths)
def test_window_is_a_ramp_between_its_ends(hu, level, width):
    grey = apply_window(hu, level, width)
    assert grey.dtype == np.uint8 and grey.shape == hu.shape
    exact = (hu.astype(float) - (level - width / 2)) / width * 255
    np.testing.assert_allclose(grey, exact.clip(0, 255), atol=0.51)
    order = np.argsort(hu, axis=None)
    assert (np.diff(grey.ravel()[order].astype(int)) >= 0).all()


def test_window_of_covidx_ct():
    assert apply_window([-1350, -600, 150, -3024, 3071]).tolist() == [0, 128, 255, 0, 255]


@pytest.mark.parametrize('width', [0, -1, np.nan])
def test_window_without_width(width):
    with pytest.raises(ValueError, match='give a width'):
        apply_window(np.zeros(3), 0, width)


@st.composite
def grids(draw):
    """Any right- or left-handed grid."""
    rotation = Rotation.from_euler('xyz', draw(st.tuples(*[st.floats(-180, 180)] * 3)), True)
    flip = draw(st.sampled_from([1, -1]))
    spacing = draw(st.tuples(*[st.floats(0.3, 8)] * 3))
    origin = draw(st.tuples(*[st.floats(-500, 500)] * 3))
    return Grid(np.array(spacing), np.array(origin), rotation.as_matrix() * [1, 1, flip])


@given(grids(), st.tuples(*[st.integers(1, 5)] * 3))
def test_every_voxel_stays_where_it_is_in_the_patient(stored, shape):
    values = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
    volume = make_volume(values, values.shape, stored, dict(path='a'))
    for grid, array in ((stored, values), (volume.grid, volume.array)):
        index = np.stack(np.unravel_index(np.argsort(array, axis=None), array.shape))[::-1]
        points = grid.direction @ (grid.spacing[:, None] * index) + grid.origin[:, None]
        if grid is stored:
            expected = points
    np.testing.assert_allclose(points, expected, atol=1e-9 * 1e4)
    # no other order of axes would come closer to left, posterior, superior
    diagonal = np.trace(volume.grid.direction)
    for order in itertools.permutations(range(3)):
        assert diagonal >= np.abs(volume.grid.direction[:, order].diagonal()).sum() - 1e-9


@settings(max_examples=30, deadline=None)
@given(grids(), st.tuples(*[st.integers(1, 5)] * 3))
def test_voxels_of_the_file_are_found_again(stored, shape):
    values = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
    volume = make_volume(values, values.shape, stored, dict(path='a'))
    index = np.argwhere(values >= 0)
    found = volume.array[tuple(from_stored(index[:, ::-1], volume).T)]
    assert found.tolist() == values[tuple(index.T)].tolist()


@settings(max_examples=30, deadline=None)
@given(
    grids(),
    st.tuples(*[st.integers(2, 5)] * 3),
    st.sampled_from(['.nrrd', '.mha', '.nii.gz']),
    st.randoms(use_true_random=False),
)
def test_mask_is_written_on_the_grid_of_the_file(tmp_path_factory, stored, shape, suffix, random):
    folder = tmp_path_factory.mktemp('grid')
    image = sitk.GetImageFromArray(
        np.array([random.randint(-1000, 100) for _ in range(np.prod(shape))], np.int16).reshape(
            shape
        )
    )
    image.SetSpacing(stored.spacing.tolist())
    image.SetOrigin(stored.origin.tolist())
    image.SetDirection(stored.direction.ravel().tolist())
    path = folder / f'scan{suffix}'
    sitk.WriteImage(image, str(path))

    volume = read_volume(path)
    write_mask(volume.array > -300, volume, folder / f'mask{suffix}')
    image, mask = (sitk.ReadImage(str(folder / f'{name}{suffix}')) for name in ('scan', 'mask'))
    assert mask.GetSize() == image.GetSize()
    np.testing.assert_allclose(mask.GetSpacing(), image.GetSpacing(), rtol=1e-5)
    np.testing.assert_allclose(mask.GetOrigin(), image.GetOrigin(), atol=1e-3)
    np.testing.assert_allclose(mask.GetDirection(), image.GetDirection(), atol=1e-5)
    np.testing.assert_array_equal(
        sitk.GetArrayFromImage(mask), sitk.GetArrayFromImage(image) > -300
    )
    assert sorted(p.name for p in folder.iterdir()) == [f'mask{suffix}', f'scan{suffix}']


def test_slices_of_a_neurological_file_look_as_those_of_dicom(tmp_path):
    """NIfTI files often run from left to right and from back to front."""
    hu = chest()
    image = sitk.GetImageFromArray(hu[:, ::-1, ::-1])
    image.SetDirection([-1, 0, 0, 0, -1, 0, 0, 0, 1])
    sitk.WriteImage(image, str(tmp_path / 'scan.nii'))
    np.testing.assert_array_equal(read_volume(tmp_path / 'scan.nii').array, hu)


@pytest.mark.parametrize(
    'array, dtype',
    [
        (np.full((1, 2, 2), -1024, np.int32), np.int16),
        (np.full((1, 2, 2), 40000), np.float32),
        (np.full((1, 2, 2), 0.5), np.float32),
        (np.full((1, 2, 2), 3.0), np.int16),
    ],
)
def test_values_are_kept_in_the_smallest_type(array, dtype):
    stored = Grid(np.ones(3), np.zeros(3), np.eye(3))
    volume = make_volume(array, array.shape, stored, dict(path='a'))
    assert volume.array.dtype == dtype
    np.testing.assert_array_equal(volume.array, array)


def test_first_slices_of_whole_numbers_are_kept_among_others():
    array = np.stack([np.full((2, 3), 7.0), np.full((2, 3), 0.5), np.full((2, 3), 1e6)])
    volume = make_volume(array, array.shape, Grid(np.ones(3), np.zeros(3), np.eye(3)), {})
    np.testing.assert_array_equal(volume.array, array)


@pytest.mark.parametrize(
    'mask, name, message',
    [
        (np.zeros((5, 8, 8), bool), 'm.nrrd', 'mask is of shape'),
        (np.full((5, 32, 32), 300), 'm.nrrd', 'whole numbers'),
        (np.zeros((5, 32, 32)), 'm.nrrd', 'whole numbers'),
        (np.zeros((5, 32, 32), bool), 'm.png', 'written as'),
    ],
)
def test_masks_that_cannot_be_written(tmp_path, mask, name, message):
    volume = make_volume(
        chest(), (5, 32, 32), Grid(np.ones(3), np.zeros(3), np.eye(3)), dict(path='a')
    )
    with pytest.raises(ValueError, match=message):
        write_mask(mask, volume, tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def little_space():
    """No file may be larger than 10 kB: as on a full disk, without one."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize('suffix', ['.nii', '.nii.gz', '.nrrd', '.mha'])
def test_half_a_volume_is_none(tmp_path, little_space, suffix):
    image = sitk.GetImageFromArray(np.random.default_rng(0).integers(0, 99, (8, 64, 64)))
    path = tmp_path / f'scan{suffix}'
    path.write_text('of a former run')
    with pytest.raises(OSError, match=f'scan{suffix}: cannot be written. Is there space'):
        write_image(image, path)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert path.read_text() == 'of a former run'
