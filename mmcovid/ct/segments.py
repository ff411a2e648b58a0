"""Segmentations as readers save them, on the grid of their scan.

Label maps (NIfTI, NRRD, MetaImage), segmentations of 3D Slicer (``.seg.nrrd``), which name their
segments and may have several layers, and DICOM segmentations.
"""

from collections.abc import Iterator
from os import fspath
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pydicom

from mmcovid.utils.budget import check_size

from .dicom import is_dicom_file
from .files import read_layers
from .volume import CTVolume, Grid, volume_suffix

if TYPE_CHECKING:
    import highdicom

#: Part of a voxel by which the corners of two grids may be apart: files keep few digits.
_GRID_TOLERANCE = 0.1


class Segment(NamedTuple):
    """What a reader has marked as one thing."""

    name: str  #: as the file names it; of a label map that names nothing, the value
    mask: np.ndarray  #: (Z, H, W), bool, as ``array`` of the scan


def read_segments(path: str | Path, volume: CTVolume) -> Iterator[Segment]:
    """Read a segmentation.

    Args:
        path (str | Path): Label map, ``.seg.nrrd``, or DICOM segmentation, which highdicom reads.
        volume (CTVolume): The scan that it is of.

    Yields:
        Segment: One for each, in the order of the file; of a label map one for each value but 0.

    Raises:
        FileNotFoundError: There is no such file.
        ImportError: highdicom is not installed.
        ValueError: It cannot be read, is no segmentation, or is not on the grid of the scan.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'{path}: no such segmentation. Correct the path.')
    if is_dicom_file(path):
        yield from _read_dicom(path, volume)
    elif volume_suffix(path):
        yield from _read_label_maps(path, volume)
    else:
        raise ValueError(
            f'{path}: is no segmentation. Give a label map (.nii, .nii.gz, .nrrd, .mha), a '
            '.seg.nrrd of 3D Slicer or a DICOM segmentation.'
        )


def _read_label_maps(path: str | Path, volume: CTVolume) -> Iterator[Segment]:
    layers, fields = read_layers(path)
    for layer in layers:
        if layer.array.dtype != np.int16 or layer.array.min() < 0:
            raise ValueError(
                f'{path}: has values that are no labels, from {layer.array.min()} to '
                f'{layer.array.max()}. Give the label map, not the scan.'
            )
        _check_grid(path, layer.array.shape, layer.grid, volume)
    named = [key.removesuffix('_LabelValue') for key in fields if key.endswith('_LabelValue')]
    if not named:
        (layer,) = layers
        for value in np.unique(layer.array[layer.array > 0]):
            yield Segment(str(value), layer.array == value)
        return
    for key in named:
        place = fields.get(f'{key}_Layer', '0'), fields[f'{key}_LabelValue']
        if not all(map(str.isdecimal, place)) or int(place[0]) >= len(layers):
            raise ValueError(
                f'{path}: {key} is in layer {place[0]}, as {place[1]}: there is no such layer of '
                f'{len(layers)}, or it is no number. Export it again.'
            )
        yield Segment(fields.get(f'{key}_Name', key), layers[int(place[0])].array == int(place[1]))


def _check_grid(path: str | Path, shape: tuple[int, ...], grid: Grid, volume: CTVolume) -> None:
    """Make sure that voxels are those of the scan.

    Raises:
        ValueError: They are not.
    """
    corners = np.array([(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]) * (
        np.array(volume.array.shape[::-1]) - 1
    )
    here, there = (
        each.origin + corners * each.spacing @ each.direction.T for each in (grid, volume.grid)
    )
    apart = np.abs(here - there).max()
    if shape != volume.array.shape or apart > _GRID_TOLERANCE * min(volume.spacing):
        raise _other_grid(path, volume, f'{_size(shape)} voxels, corners {apart:.2f} mm apart')


def _other_grid(path: str | Path, volume: CTVolume, what: str) -> ValueError:
    return ValueError(
        f'{path}: is not on the grid of {volume.metadata["path"]}, {_size(volume.array.shape)} '
        f'voxels ({what}). Save it on the grid of the scan: 3D Slicer does so when a segmentation '
        'is exported as a label map with the scan as its reference volume.'
    )


def _size(shape: tuple[int, ...]) -> str:
    return 'x'.join(map(str, shape[::-1]))


def _read_dicom(path: str | Path, volume: CTVolume) -> Iterator[Segment]:
    """Segments of a DICOM segmentation, put on the grid of the scan without resampling."""
    try:
        import highdicom as hd
    except ImportError as error:
        raise ImportError(
            'highdicom is not installed; to mend it, run: pip install highdicom'
        ) from error
    segmentation = _open_dicom(path)
    _check_series(path, segmentation, volume)
    grid = volume.grid
    affine = np.eye(4)
    affine[:3, :3] = (grid.direction * grid.spacing)[:, ::-1]  # of slices, rows and columns
    affine[:3, 3] = grid.origin
    geometry = hd.VolumeGeometry(
        affine, volume.array.shape, 'PATIENT', segmentation.get('FrameOfReferenceUID')
    )
    for number in segmentation.segment_numbers:
        name = str(segmentation.get_segment_description(number).segment_label)
        try:
            found = segmentation.get_volume(segment_numbers=[number], rescale_fractional=False)
            mask = found.match_geometry(geometry, tol=_GRID_TOLERANCE * min(volume.spacing))
        except (RuntimeError, ValueError) as error:
            raise _other_grid(path, volume, str(error)) from error
        if np.count_nonzero(mask.array) != np.count_nonzero(found.array):
            raise _other_grid(path, volume, f'{name} reaches out of it')
        yield Segment(name, mask.array[..., 0] > 0)


def _open_dicom(path: str | Path) -> 'highdicom.seg.Segmentation':
    import highdicom as hd

    try:
        header = pydicom.dcmread(path, stop_before_pixels=True)
        rows, columns = int(header.Rows), int(header.Columns)
        check_size(path, rows, columns, int(header.get('NumberOfFrames') or 1))
        if header.get('SegmentationType') == 'FRACTIONAL':
            raise ValueError('its values are fractions, not labels')
        return hd.seg.segread(fspath(path))
    except Exception as error:  # whatever broken bytes lead to
        raise ValueError(
            f'{path}: cannot be read as a DICOM segmentation ({error}). Export it again.'
        ) from error


def _check_series(
    path: str | Path, segmentation: 'highdicom.seg.Segmentation', volume: CTVolume
) -> None:
    """Make sure that a segmentation is of the series, if both tell theirs.

    Raises:
        ValueError: It is of another.
    """
    uid = volume.metadata.get('series_uid')
    series = {
        str(item.SeriesInstanceUID) for item in segmentation.get('ReferencedSeriesSequence', ())
    }
    if uid and series and uid not in series:
        raise ValueError(
            f'{path}: is of the series {", ".join(sorted(series))}, not of {uid}, which '
            f'{volume.metadata["path"]} is. Give the scan that it was made on.'
        )
