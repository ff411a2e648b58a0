"""CT volumes in Hounsfield units (HU), their place in the patient, and grey windows."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mmcovid.utils.files import atomic_path

if TYPE_CHECKING:
    import SimpleITK as sitk

#: The window of COVIDx-CT's pictures, in HU.
LEVEL, WIDTH = -600.0, 1500.0

#: How each format of a volume in one file is read and written; .nhdr and .mhd are headers whose
#: voxels are in another file.
IMAGE_IO = {
    '.nii': 'NiftiImageIO',
    '.nii.gz': 'NiftiImageIO',
    '.nrrd': 'NrrdImageIO',
    '.nhdr': 'NrrdImageIO',
    '.mha': 'MetaImageIO',
    '.mhd': 'MetaImageIO',
}
#: Bytes before the voxels, as ITK writes NIfTI.
NIFTI_HEADER = 352


class Grid(NamedTuple):
    """A regular grid in the patient, as ITK describes it: LPS coordinates, axes in order x, y, z.

    Voxel (i, j, k) is at ``origin + direction @ (spacing * (i, j, k))``.
    """

    spacing: np.ndarray  #: (3,), mm
    origin: np.ndarray  #: (3,), mm
    direction: np.ndarray  #: (3, 3), one column for each axis


@dataclass(frozen=True)
class CTVolume:
    """A volume turned so that each slice looks as radiologists see it.

    Slices are axial and go from the feet to the head, rows from the front to the back, columns
    from the patient's right to the left, whichever way the file has them. ``stored`` remembers
    that way, so that masks are written back on the grid of the file.
    """

    array: np.ndarray  #: (Z, H, W), HU, int16 where all values fit, else float32
    grid: Grid  #: of ``array``
    stored: Grid  #: of the file
    metadata: Mapping = field(default_factory=dict)  #: ``path``, and what a DICOM series tells

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Of columns, rows and slices (x, y, z), in mm."""
        return tuple(self.grid.spacing.tolist())

    @property
    def origin(self) -> tuple[float, float, float]:
        """Centre of voxel [0, 0, 0] in the patient (LPS), in mm."""
        return tuple(self.grid.origin.tolist())

    @property
    def direction(self) -> tuple[float, ...]:
        """Direction cosines, row by row, as ITK gives them."""
        return tuple(self.grid.direction.ravel().tolist())

    def __len__(self) -> int:
        return len(self.array)


def voxel_ml(spacing: Iterable[float]) -> float:
    """Volume of a voxel in ml, of its spacing in mm."""
    return float(np.prod(tuple(spacing))) / 1000


def make_volume(
    planes: Iterable[np.ndarray], shape: tuple[int, ...], stored: Grid, metadata: Mapping
) -> CTVolume:
    """Turn a volume as it is in its file, plane by plane: it is in memory once.

    Args:
        planes (Iterable[np.ndarray]): Z arrays (H, W), HU, in the order of the file.
        shape (tuple[int, int, int]): (Z, H, W).
        stored (Grid): The grid of the file.
        metadata (Mapping): With ``path``.

    Raises:
        ValueError: A value is not finite.
    """
    axes, signs = _patient_axes(stored.direction)
    array: np.ndarray = np.empty([shape[2 - axis] for axis in axes[::-1]], np.int16)
    as_stored, not_finite = _as_stored(array, stored), 0
    for i, plane in enumerate(planes):
        if np.issubdtype(plane.dtype, np.floating) and not np.isfinite(plane).all():
            not_finite += np.count_nonzero(~np.isfinite(plane))
        elif not not_finite:
            if array.dtype == np.int16 and not _fits_int16(plane):
                wider = np.empty(array.shape, np.float32)
                _as_stored(wider, stored)[:i] = as_stored[:i]
                array, as_stored = wider, _as_stored(wider, stored)
            as_stored[i] = plane
    if not_finite:
        raise ValueError(
            f'{metadata["path"]}: {not_finite} values are not finite. Replace them, by '
            '-1000 HU (air) for instance.'
        )
    steps = (stored.direction * stored.spacing)[:, axes]
    size = np.array(array.shape[::-1])
    grid = Grid(
        spacing=stored.spacing[axes],
        origin=stored.origin + steps @ ((size - 1) * (np.array(signs) < 0)),
        direction=stored.direction[:, axes] * signs,
    )
    return CTVolume(array, grid, stored, dict(metadata))


def apply_window(hu: np.ndarray, level: float = LEVEL, width: float = WIDTH) -> np.ndarray:
    """Grey levels of a slice or a volume, as in a picture of 8 bits.

    Args:
        hu (np.ndarray): HU, any shape.
        level (float): Middle of the window, in HU. Defaults to -600.
        width (float): Width of the window, in HU: ``level - width / 2`` and what is below becomes
            0, ``level + width / 2`` and what is above 255. Defaults to 1500.

    Returns:
        np.ndarray: uint8, of the same shape.

    Raises:
        ValueError: The window has no width.
    """
    if not (np.isfinite([level, width]).all() and width > 0):
        raise ValueError(f'a window of level {level} and width {width}: give a width above 0 HU.')
    grey = (np.asarray(hu, np.float32) - (level - width / 2)) * (255 / width)
    return np.rint(grey.clip(0, 255)).astype(np.uint8)


def to_stored(mask: np.ndarray, volume: CTVolume) -> np.ndarray:
    """Turn a mask, (Z, H, W) as ``volume.array``, to the axes of the file, slowest first."""
    return _as_stored(mask, volume.stored)


def from_stored(index: np.ndarray, volume: CTVolume) -> np.ndarray:
    """Turn voxels of the file to those of ``volume.array``.

    Args:
        index (np.ndarray): Along the axes x, y, z of the file, (n, 3), int.
        volume (CTVolume): Of the file.

    Returns:
        np.ndarray: Slice, row and column, (n, 3), int.

    Raises:
        IndexError: One is outside of the file.
    """
    x, y, z = index.T
    axes = np.ogrid[tuple(map(slice, volume.array.shape))]
    places = (to_stored(np.broadcast_to(axis, volume.array.shape), volume) for axis in axes)
    return np.stack([place[z, y, x] for place in places], axis=1)


def write_mask(mask: np.ndarray, volume: CTVolume, path: str | Path) -> None:
    """Write a mask on the grid of the file that the volume came from.

    Args:
        mask (np.ndarray): (Z, H, W) as ``volume.array``, bool or integers up to 255.
        volume (CTVolume): What the mask belongs to.
        path (str | Path): File to write, whole or not at all: ``.nii``, ``.nii.gz``, ``.nrrd`` or
            ``.mha``. It is compressed, ``.nii`` aside.

    Raises:
        ValueError: The mask is of another shape, has other values, or the format is unknown.
    """
    mask, path = np.asarray(mask), Path(path)
    if mask.shape != volume.array.shape:
        raise ValueError(
            f'{path}: the mask is of shape {mask.shape}, its volume of '
            f'{volume.array.shape}. Give one value for each voxel.'
        )
    if mask.dtype != bool and not (
        np.issubdtype(mask.dtype, np.integer) and mask.min() >= 0 and mask.max() <= 255
    ):
        raise ValueError(
            f'{path}: a mask has whole numbers from 0 to 255, not {mask.dtype} from '
            f'{mask.min()} to {mask.max()}.'
        )
    _write(np.ascontiguousarray(to_stored(mask, volume), np.uint8), volume, path)


def write_volume(volume: CTVolume, path: str | Path) -> None:
    """Write a volume on the grid of the file that it came from.

    Args:
        volume (CTVolume): In HU.
        path (str | Path): As of :func:`write_mask`.

    Raises:
        ValueError: The format is unknown.
    """
    _write(np.ascontiguousarray(to_stored(volume.array, volume)), volume, Path(path))


def _write(stored: np.ndarray, volume: CTVolume, path: Path) -> None:
    """Write an array on the axes and the grid of the file of a volume, whole or not at all."""
    import SimpleITK as sitk  # here: it takes 95 MB, which trainings on pictures do not need

    image = sitk.GetImageFromArray(stored)
    image.SetSpacing(volume.stored.spacing.tolist())
    image.SetOrigin(volume.stored.origin.tolist())
    image.SetDirection(volume.stored.direction.ravel().tolist())
    write_image(image, path)


def write_image(image: 'sitk.Image', path: str | Path) -> None:
    """Write an image of ITK, whole or not at all.

    Args:
        image (sitk.Image): Of one channel.
        path (str | Path): As of :func:`write_mask`.

    Raises:
        OSError: It could not be written, such as on a full disk.
        ValueError: The format is unknown, or the path no UTF-8.
    """
    import SimpleITK as sitk

    check_name(path)
    path, suffix = Path(path), volume_suffix(path)
    if suffix not in ('.nii', '.nii.gz', '.nrrd', '.mha'):
        raise ValueError(f'{path}: volumes are written as .nii, .nii.gz, .nrrd or .mha.')
    # the temporary name keeps only the last suffix, and .gz alone says nothing to ITK
    with atomic_path(path) as temporary:
        whole = Path(temporary.removesuffix(path.suffix) + suffix)
        try:
            sitk.WriteImage(image, str(whole), useCompression=True, imageIO=IMAGE_IO[suffix])
            if suffix.startswith('.nii') and not _is_whole_nifti(whole, image):
                raise RuntimeError('only a part was written')
        except RuntimeError as error:
            whole.unlink(missing_ok=True)
            raise OSError(f'{path}: cannot be written. Is there space on the disk?') from error
        whole.rename(temporary)


def _is_whole_nifti(path: Path, image: 'sitk.Image') -> bool:
    """Whether all of an image is in its file: ITK writes half a NIfTI file without any error."""
    size = NIFTI_HEADER + image.GetNumberOfPixels() * image.GetSizeOfPixelComponent()
    if path.suffix == '.nii':
        return path.stat().st_size == size
    with open(path, 'rb') as file:
        file.seek(-4, os.SEEK_END)  # gzip ends with the size of what was compressed
        return int.from_bytes(file.read(), 'little') == size % 2**32


def volume_suffix(path: str | Path) -> str:
    """Which of ``IMAGE_IO`` a file name ends in, or ''."""
    name = str(path).lower()
    return max((suffix for suffix in IMAGE_IO if name.endswith(suffix)), key=len, default='')


def check_name(path: str | os.PathLike) -> None:
    """Refuse a name at which ITK aborts the process.

    Raises:
        ValueError: It is no UTF-8.
    """
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError as error:
        raise ValueError(f'{path}: its path is no UTF-8, which ITK needs. Rename it.') from error


def slice_axis(direction: np.ndarray) -> int:
    """Which axis of a stored grid (0 x, 1 y, 2 z) runs from the feet to the head."""
    return _patient_axes(direction)[0][2]


def _patient_axes(direction: np.ndarray) -> tuple[list[int], list[int]]:
    """For left, posterior and superior, the grid axis closest to it and that axis's sign."""
    axes = max(
        permutations(range(3)),
        key=lambda order: sum(abs(direction[i, axis]) for i, axis in enumerate(order)),
    )
    return list(axes), [1 if direction[i, axis] >= 0 else -1 for i, axis in enumerate(axes)]


def _as_stored(array: np.ndarray, stored: Grid) -> np.ndarray:
    """A view of a turned array, (Z, H, W), on the axes of the file, slowest first."""
    axes, signs = _patient_axes(stored.direction)
    return array[tuple(slice(None, None, sign) for sign in signs[::-1])].transpose(
        np.argsort([2 - axis for axis in axes[::-1]])
    )


def _fits_int16(plane: np.ndarray) -> bool:
    """Whether nothing is lost in int16."""
    if plane.dtype == np.int16:
        return True
    limits = np.iinfo(np.int16)
    fits = plane.min() >= limits.min and plane.max() <= limits.max
    return bool(
        fits and (np.issubdtype(plane.dtype, np.integer) or (plane == np.rint(plane)).all())
    )
