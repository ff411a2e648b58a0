"""Volumes in one file: NIfTI, NRRD and MetaImage, read by ITK once their header is found good."""

import gzip
import os
import re
import zlib
from math import prod
from os import fspath
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .volume import (
    IMAGE_IO,
    CTVolume,
    Grid,
    check_name,
    check_size,
    make_volume,
    slice_axis,
    volume_suffix,
)

if TYPE_CHECKING:
    import SimpleITK as sitk

#: Text headers are far shorter.
_HEADER_BYTES = 2**16
#: Voxels are checked in blocks of so many bytes.
_BLOCK = 2**20


def open_file(path: str | Path) -> tuple['sitk.ImageFileReader', int]:
    """A reader of a volume, and the number of its axial slices; no voxel is read.

    Args:
        path (str | Path): Volume of two or three axes, one value for each voxel.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is broken, too large, of another kind, or its header sends the reader to a
            file in another folder.
    """
    import SimpleITK as sitk  # here: it takes 95 MB, which trainings on pictures do not need

    suffix = volume_suffix(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(f'{path}: no such file.')
    check_name(path)
    _check_data_files(Path(path), suffix)
    reader = sitk.ImageFileReader()
    reader.SetFileName(fspath(path))
    reader.SetImageIO(IMAGE_IO[suffix])  # not by content: the checks are those of this format
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise _broken(path, error) from error
    size = reader.GetSize()
    if len(size) < 2 or prod(size[3:]) > 1:
        raise ValueError(
            f'{path}: has {len(size)} axes ({" x ".join(map(str, size))}). Give one '
            'volume, of three axes.'
        )
    if reader.GetNumberOfComponents() != 1:
        raise ValueError(
            f'{path}: has {reader.GetNumberOfComponents()} values a voxel, such as '
            'colours. Give the CT itself.'
        )
    size = (*size, 1)[:3]
    axis = slice_axis(_grid(reader).direction)
    width, height = (length for i, length in enumerate(size) if i != axis)
    check_size(path, height, width, size[axis])
    return reader, size[axis]


def read_file(path: str | Path) -> CTVolume:
    """Read a volume; see :func:`open_file`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It cannot be read; nothing is made up for voxels that are missing.
    """
    import SimpleITK as sitk

    reader, _ = open_file(path)
    check = {'MetaImageIO': _check_metaimage, 'NiftiImageIO': _check_nifti}.get(
        IMAGE_IO[volume_suffix(path)]
    )
    try:
        if check:
            check(Path(path))
        image = reader.Execute()
    except (RuntimeError, ValueError, EOFError, OSError, zlib.error) as error:
        raise _broken(path, error) from error
    array = sitk.GetArrayFromImage(image)  # a copy: views die with the image
    stored = _grid(image)
    return make_volume(array.reshape((1, 1, *array.shape)[-3:]), stored, dict(path=fspath(path)))


def _grid(image: 'sitk.Image | sitk.ImageFileReader') -> Grid:
    """Grid of an image of two, three or more axes."""
    axes = len(image.GetSpacing())
    direction = np.eye(max(axes, 3))
    direction[:axes, :axes] = np.reshape(image.GetDirection(), (axes, axes))
    return Grid(
        spacing=np.array([*image.GetSpacing(), 1.0][:3]),
        origin=np.array([*image.GetOrigin(), 0.0][:3]),
        direction=direction[:3, :3],
    )


def _check_data_files(path: Path, suffix: str) -> None:
    """Refuse text headers that point at files outside their folder.

    ITK would read any file there as voxels.
    """
    if IMAGE_IO[suffix] == 'NiftiImageIO':
        return
    with open(path, 'rb') as file:
        text = file.read(_HEADER_BYTES).decode('latin-1')
    if suffix in ('.nrrd', '.nhdr'):
        head = re.split(r'\r?\n\r?\n', text)[0]
        found = re.search(r'^data ?file: *(.*(?:\n.*)*)', head, re.IGNORECASE | re.MULTILINE)
    else:
        found = re.search(r'^ElementDataFile *= *(.*)', text, re.MULTILINE)
    value = found[1].strip() if found else 'LOCAL'
    if value.upper() == 'LOCAL':
        return
    # lists and patterns of files would each need their own checks, and CT volumes have none
    name = Path(value.splitlines()[0] if value else '')
    if len(value.splitlines()) > 1 and not re.match(r'[\w ]+:', value.splitlines()[1]):
        name = Path('LIST')
    if name.name != str(name) or '%' in str(name) or not (path.parent / name).is_file():
        raise ValueError(
            f'{path}: its voxels are in {value.splitlines()[0]!r}, which is no single file in the '
            'folder of the header. Put both into one folder, or convert the volume to one file.'
        )


def _check_metaimage(path: Path) -> None:
    """Refuse compressed voxels that end early: ITK fills up with whatever is in memory."""
    with open(path, 'rb') as file:
        head = file.read(_HEADER_BYTES)
    found = re.search(rb'^ElementDataFile *= *(.*?)\r?\n', head, re.MULTILINE)
    if not found or not re.search(rb'^CompressedData *= *T', head, re.MULTILINE):
        return
    local = found[1].strip().upper() == b'LOCAL'
    with open(path if local else path.parent / found[1].strip().decode(), 'rb') as file:
        file.seek(found.end() if local else 0)
        stream = zlib.decompressobj()
        while not stream.eof and (block := stream.unconsumed_tail or file.read(_BLOCK)):
            stream.decompress(block, 16 * _BLOCK)
    if not stream.eof:
        raise EOFError('its compressed voxels end early')


def _check_nifti(path: Path) -> None:
    """Refuse voxels that end early or are not finite: ITK makes them 0 without a word."""
    with (gzip.open if path.name.lower().endswith('.gz') else open)(path, 'rb') as file:
        head = file.read(540)
        order = '<' if head[:4] in (b'\x5c\1\0\0', b'\x1c\2\0\0') else '>'
        # where NIfTI-1 (header of 348 bytes) and NIfTI-2 have sizes, type and begin of the voxels
        if np.frombuffer(head, order + 'i4', 1)[0] == 348:
            sizes, kind = np.frombuffer(head, order + 'i2', 8, 40), head[70:72]
            begin = np.frombuffer(head, order + 'f4', 1, 108)[0]
        else:
            sizes, kind = np.frombuffer(head, order + 'i8', 8, 16), head[12:14]
            begin = np.frombuffer(head, order + 'i8', 1, 168)[0]
        bits = np.frombuffer(head, order + 'i2', 1, 72 if sizes.itemsize == 2 else 14)[0]
        left = prod(int(size) for size in sizes[1 : sizes[0] + 1]) * int(bits) // 8
        floats = {16: 'f4', 64: 'f8'}.get(np.frombuffer(kind, order + 'i2')[0])
        file.seek(int(begin))
        while left > 0:
            block = file.read(min(left, _BLOCK))
            if not block:
                raise EOFError(f'{left} bytes of its voxels are missing')
            left -= len(block)
            if floats and not np.isfinite(np.frombuffer(block, order + floats)).all():
                raise ValueError(
                    'has values that are not finite: replace them, by -1000 HU (air) for instance'
                )


def _broken(path: str | Path, error: object) -> ValueError:
    """The last line of ITK's message tells what is wrong."""
    return ValueError(
        f'{path}: cannot be read ({str(error).strip().splitlines()[-1]}). If it is '
        'truncated, copy or export it again.'
    )
