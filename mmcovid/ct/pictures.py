"""Slices as pixels, from pictures and from CT as it comes from a scanner."""

import os

import cv2
import numpy as np
from PIL import Image, TiffImagePlugin

from mmcovid.utils.budget import check_size, check_slice_bytes

from .inputs import is_ct
from .slices import find_slice
from .volume import LEVEL, WIDTH, apply_window

#: By their names in Pillow, those of ``PICTURE_SUFFIXES``.
_FORMATS = ('BMP', 'JPEG', 'PNG', 'PPM', 'TIFF', 'WEBP')
#: Pages of a TIFF that are counted; scans of a progressive JPEG, which has about ten.
_MOST_PAGES, _MOST_SCANS = 1000, 100
_BROKEN = 'empty, truncated or not an image. Copy or download it again, or take it out of the set.'


def check_picture(path: str | os.PathLike) -> tuple[int, int]:
    """Make sure that a picture can be a slice, before it is decoded.

    Args:
        path (str | PathLike): Of one of the formats that MMDetection takes.

    Returns:
        tuple[int, int]: Height and width.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no picture, larger than a slice can be, or holds several pictures.
    """
    check_slice_bytes(path, os.path.getsize(path), 'the file')
    try:
        with Image.open(path, formats=_FORMATS) as picture:  # its header only
            width, height = picture.size
            tiled = getattr(picture, 'tag_v2', {})
            tile_width = tiled.get(TiffImagePlugin.TILEWIDTH, width)
            tile_height = tiled.get(TiffImagePlugin.TILELENGTH, height)
            pages, scans = _count_pages(picture), _count_scans(picture, path)
    except Image.DecompressionBombError as error:
        raise ValueError(f'{path}: {error} Nothing was decoded. Take it out.') from error
    except (FileNotFoundError, IsADirectoryError, PermissionError):
        raise
    except Exception as error:  # whatever a broken header leads to
        raise ValueError(f'{path}: {_BROKEN}') from error
    check_size(path, height, width)
    check_size(path, tile_height, tile_width)
    if pages > 1:
        raise ValueError(
            f'{path}: holds {pages} pictures. Give one file for each slice, or '
            'convert it to a volume such as NIfTI.'
        )
    if scans > _MOST_SCANS:
        raise ValueError(
            f'{path}: is a JPEG of {scans} scans, and would be decoded as often. Save it as PNG.'
        )
    return height, width


def _count_pages(picture: Image.Image) -> int:
    """Pictures in a file; not all of thousands."""
    if picture.format != 'TIFF':
        return getattr(picture, 'n_frames', 1)
    pages = 1
    try:
        while pages < _MOST_PAGES:  # each is read to find the next
            picture.seek(pages)
            pages += 1
    except EOFError:
        pass
    return pages


def _count_scans(picture: Image.Image, path: str | os.PathLike) -> int:
    """Times that a JPEG goes over its pixels; 0 of other formats."""
    if picture.format not in ('JPEG', 'MPO'):
        return 0
    with open(path, 'rb') as file:
        return file.read().count(b'\xff\xda')


def read_slice(path: str | os.PathLike, window: tuple[float, float] = (LEVEL, WIDTH)) -> np.ndarray:
    """The pixels of a slice.

    Args:
        path (str | PathLike): Picture, or a slice of a CT, which is seen through the window.
        window (tuple[float, float]): Level and width, in HU. Defaults to (-600, 1500).

    Returns:
        np.ndarray: (H, W) or (H, W, C), at the depth of the file; colour is BGR, as of OpenCV.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is empty, truncated, not an image, or larger than a slice can be.
    """
    if is_ct(path):
        volume, index = find_slice(path)
        return apply_window(volume.array[index], *window)
    check_picture(path)
    with open(path, 'rb') as file:
        data = np.frombuffer(file.read(), np.uint8)
    try:
        pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    except cv2.error as error:
        raise ValueError(f'{path}: {_BROKEN}') from error
    if pixels is None:
        raise ValueError(f'{path}: {_BROKEN}')
    return pixels


def read_grey(path: str | os.PathLike) -> np.ndarray:
    """A slice as a model sees it before standardisation, (H, W), float32; see :func:`to_grey`."""
    return to_grey(read_slice(path), str(path))


def to_grey(pixels: np.ndarray, name: str) -> np.ndarray:
    """Grey values of a slice, as they were.

    Slices come as 8 or 16 bit grey, as colour files with equal channels, or as arrays of
    Hounsfield units. Colour turns grey as in OpenCV (BGR order), alpha is dropped.

    Args:
        pixels (np.ndarray): (H, W) or (H, W, 1 | 3 | 4), any real type.
        name (str): What to call the slice in messages.

    Returns:
        np.ndarray: (H, W), float32.

    Raises:
        ValueError: The image is empty, has another shape or values that are not finite.
    """
    pixels = np.asarray(pixels)
    if (
        pixels.size == 0
        or pixels.ndim not in (2, 3)
        or pixels.shape[2:] not in ((), (1,), (3,), (4,))
    ):
        raise ValueError(
            f'{name}: a slice must be of shape (H, W) or (H, W, 1 | 3 | 4) and not empty, '
            f'but is {pixels.shape}. Give one slice at a time, channels last.'
        )
    if pixels.dtype not in (np.uint8, np.uint16):
        # integers as loaded turn grey exactly, all else goes to OpenCV as float
        pixels = pixels.astype(np.float32)
    if pixels.ndim == 3:
        pixels = (
            pixels[..., 0]
            if pixels.shape[2] == 1
            else cv2.cvtColor(np.ascontiguousarray(pixels[..., :3]), cv2.COLOR_BGR2GRAY)
        )
    pixels = pixels.astype(np.float32)
    if not np.isfinite(pixels).all():
        raise ValueError(
            f'{name}: has values that are not finite. Replace them, by the value of '
            'air for instance.'
        )
    return pixels
