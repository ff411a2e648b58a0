"""Volumes in one file: NIfTI, NRRD and MetaImage.

ITK reads the headers, once they are found good. Voxels are read here, plane by plane: ITK has them
in memory twice, and fills up by zeros, or by whatever is in memory, what is missing.
"""

import gzip
import os
import re
import zlib
from collections.abc import Callable, Iterator
from math import prod
from os import fspath
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mmcovid.utils.budget import check_size

from .volume import IMAGE_IO, CTVolume, Grid, check_name, make_volume, slice_axis, volume_suffix

if TYPE_CHECKING:
    import SimpleITK as sitk

#: Text headers are far shorter, and what may stand between a header and its voxels too.
_HEADER_BYTES, _GAP_BYTES = 2**16, 2**24
#: Fields of headers that put something before the voxels.
_GAPS = {'byteskip', 'lineskip', 'headersize'}
_BLOCK = 2**20
#: What headers of 3D Slicer tell of a segment, of what is needed here.
_SEGMENT_FIELD = re.compile(r'Segment\d+_(Name|LabelValue|Layer)', re.ASCII)
#: Types of NIfTI's voxels, by their codes.
_NIFTI_TYPES = {
    2: 'u1', 4: 'i2', 8: 'i4', 16: 'f4', 64: 'f8',
    256: 'i1', 512: 'u2', 768: 'u4', 1024: 'i8', 1280: 'u8',
}  # fmt: skip
#: First letters of ITK's names of types, as ``16-bit signed integer``.
_LETTERS = {'signed integer': 'i', 'unsigned integer': 'u', 'float': 'f'}


def open_file(path: str | Path, layers: bool = False) -> tuple['sitk.ImageFileReader', int]:
    """A reader of a volume, and the number of its axial slices; no voxel is read.

    Args:
        path (str | Path): Volume of two or three axes, one value for each voxel.
        layers (bool): Whether a voxel may have several, of layers of segments. Defaults to False.

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
    reader = sitk.ImageFileReader()
    reader.SetFileName(fspath(path))
    reader.SetImageIO(IMAGE_IO[suffix])  # not by content: the checks are those of this format
    try:
        if IMAGE_IO[suffix] == 'NiftiImageIO':
            _read_nifti_header(path)
        else:
            _check_text_header(Path(path), suffix)
        reader.ReadImageInformation()
    except (RuntimeError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _broken(path, error) from error
    size = reader.GetSize()
    if len(size) < 2 or prod(size[3:]) > 1:
        raise ValueError(
            f'{path}: has {len(size)} axes ({" x ".join(map(str, size))}). Give one '
            'volume, of three axes.'
        )
    dtype, values = _dtype_of(reader), reader.GetNumberOfComponents()
    if (values != 1 and not layers) or not dtype:
        raise ValueError(
            f'{path}: has {values} values a voxel, such as '
            f'colours ({sitk.GetPixelIDValueAsString(reader.GetPixelID())}). Give the CT itself.'
        )
    size = (*size, 1)[:3]
    axis = slice_axis(_grid(reader).direction)
    width, height = (length for i, length in enumerate(size) if i != axis)
    check_size(path, height, width, size[axis] * values, dtype.itemsize)
    return reader, size[axis]


def read_file(path: str | Path) -> CTVolume:
    """Read a volume; see :func:`open_file`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It cannot be read; nothing is made up for voxels that are missing.
    """
    reader, _ = open_file(path)
    shape = (*reader.GetSize(), 1)[2::-1]
    try:
        if IMAGE_IO[volume_suffix(path)] == 'NiftiImageIO':
            voxels: _Voxels | None = _read_nifti_header(path)
        else:
            voxels = _find_voxels(Path(path), prod(shape), _dtype_of(reader))
        planes = voxels.planes(shape) if voxels else _planes(reader.Execute(), shape)
        return make_volume(planes, shape, _grid(reader), dict(path=fspath(path)))
    except (RuntimeError, EOFError, OSError, zlib.error) as error:
        raise _broken(path, error) from error


def read_layers(path: str | Path) -> tuple[list[CTVolume], dict[str, str]]:
    """Read a label map of one layer or, as 3D Slicer has them, of several.

    Returns:
        tuple[list[CTVolume], dict[str, str]]: Layers, and the fields of the header that name what
        is in them.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It cannot be read.
    """
    reader, _ = open_file(path, layers=True)
    fields = {
        key: reader.GetMetaData(key)
        for key in reader.GetMetaDataKeys()
        if _SEGMENT_FIELD.fullmatch(key)  # SimpleITK cannot be asked for keys of broken bytes
    }
    number, shape = reader.GetNumberOfComponents(), (*reader.GetSize(), 1)[2::-1]
    if number == 1:
        return [read_file(path)], fields
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise _broken(path, error) from error
    import SimpleITK as sitk

    array = sitk.GetArrayViewFromImage(image).reshape(*shape, number)
    return [
        make_volume(array[..., layer], shape, _grid(reader), dict(path=fspath(path)))
        for layer in range(number)
    ], fields


def _dtype_of(reader: 'sitk.ImageFileReader') -> np.dtype | None:
    """The type of the voxels; None if they are no plain numbers."""
    import SimpleITK as sitk

    name = sitk.GetPixelIDValueAsString(reader.GetPixelID())
    plain = re.fullmatch(r'(?:vector of )?(\d+)-bit (signed integer|unsigned integer|float)', name)
    return np.dtype(f'{_LETTERS[plain[2]]}{int(plain[1]) // 8}') if plain else None


def _planes(image: 'sitk.Image', shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """The planes of an image that ITK has read, without a copy."""
    import SimpleITK as sitk

    yield from sitk.GetArrayViewFromImage(image).reshape(shape)


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


class _Voxels(NamedTuple):
    """Where the voxels of a volume are, and what they mean."""

    file: Path
    begin: int
    compression: str  # a key of _OPENERS
    dtype: np.dtype
    number: int
    skip: int = 0  # inflated bytes before the voxels
    slope: float = 1.0
    intercept: float = 0.0

    def planes(self, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
        """The planes of a volume of the shape (Z, H, W), in HU.

        Raises:
            EOFError: Voxels are missing.
            RuntimeError: ITK found another shape.
        """
        if self.number != prod(shape):
            raise RuntimeError(f'its header says {self.number} and {prod(shape)} voxels')
        size = prod(shape[1:]) * self.dtype.itemsize
        with open(self.file, 'rb') as file:
            file.seek(self.begin)
            source = _OPENERS[self.compression](file)
            source.read(self.skip)
            for _ in range(shape[0]):
                block = source.read(size)
                if len(block) < size:
                    raise EOFError('its voxels end early')
                plane = np.frombuffer(block, self.dtype).reshape(shape[1:])
                if (self.slope, self.intercept) != (1, 0):
                    plane = (plane * float(self.slope) + float(self.intercept)).astype(np.float32)
                yield plane


class _Inflating:
    """A stream of zlib as a file, of which the standard library has none."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._stream = file, zlib.decompressobj()

    def read(self, size: int) -> bytes:
        """So many bytes, or fewer at the end."""
        parts = []
        while size > 0 and not self._stream.eof:
            block = self._stream.unconsumed_tail or self._file.read(_BLOCK)
            if not block:
                break
            parts.append(self._stream.decompress(block, size))
            size -= len(parts[-1])
        return b''.join(parts)


_OPENERS: dict[str, Callable[[IO[bytes]], Any]] = {
    'raw': lambda file: file,
    'gzip': lambda file: gzip.GzipFile(fileobj=file),
    'zlib': _Inflating,
}


def _find_voxels(path: Path, number: int, dtype: np.dtype | None) -> _Voxels | None:
    """Where an NRRD or MetaImage file has its voxels; None if only ITK can tell.

    Raises:
        EOFError: They are text of fewer numbers, each of which ITK would look for.
        RuntimeError: They are compressed in a way that ITK reads without a check.
    """
    with open(path, 'rb') as file:
        text = file.read(_HEADER_BYTES).decode('latin-1')
    if text.startswith('NRRD'):
        head = re.split(r'\r?\n\r?\n', text, maxsplit=1)[0]
        begin = re.match(r'\r?\n\r?\n', text[len(head) :])
        end, separator = len(head) + (begin.end() if begin else 0), ':'
    else:
        found = re.search(r'^ElementDataFile *=.*\n?', text, re.MULTILINE)
        end, separator = found.end() if found else 0, '='
        head = text[:end]
    fields = {
        key.strip().lower().replace(' ', ''): value.strip()
        for key, _, value in (line.partition(separator) for line in head.splitlines())
    }
    binary = fields.get('binarydata', 'True')[:1] == 'T'
    if not binary and os.path.getsize(path) < 2 * number:
        raise EOFError('its text has fewer numbers than voxels')
    compression = fields.get('encoding', 'raw').lower()
    if fields.get('compresseddata', 'F')[:1] == 'T':
        compression = 'zlib'
    gaps = fields.keys() & _GAPS
    if compression == 'zlib' and gaps:
        raise RuntimeError('its compressed voxels are said to be behind something else')
    if dtype is None or compression not in _OPENERS or not binary or gaps:
        return None
    big = fields.get('endian', '').lower() == 'big' or any(
        fields.get(key, 'F')[:1] == 'T' for key in ('binarydatabyteordermsb', 'elementbyteordermsb')
    )
    name = fields.get('datafile') or fields.get('elementdatafile') or 'LOCAL'
    local = name.upper() == 'LOCAL'
    return _Voxels(
        path if local else path.parent / name,
        end if local else 0,
        compression,
        dtype.newbyteorder('>' if big else '<'),
        number,
    )


def _read_nifti_header(path: str | Path) -> _Voxels:
    """Read the header of NIfTI-1 (348 bytes) or NIfTI-2, in one file with the voxels.

    Raises:
        EOFError, gzip.BadGzipFile, zlib.error: It ends early, or is not compressed.
        RuntimeError: It is none of these.
        ValueError: The voxels are no plain numbers.
    """
    compressed = fspath(path).lower().endswith('.gz')
    with (gzip.open if compressed else open)(path, 'rb') as file:
        head = file.read(540)
    order = '<' if head[:4] in (b'\x5c\1\0\0', b'\x1c\2\0\0') else '>'

    def number(type_: str, offset: int, count: int = 1) -> np.ndarray:
        if len(head) < offset + count * np.dtype(type_).itemsize:
            raise EOFError('it ends in its header')
        return np.frombuffer(head, order + type_, count, offset)

    size = number('i4', 0)[0]
    if (size, head[344:348]) == (348, b'n+1\0'):
        sizes, code = number('i2', 40, 8), number('i2', 70)[0]
        begin, slope, intercept = number('f4', 108, 3)
    elif (size, head[4:8]) == (540, b'n+2\0'):
        sizes, code = number('i8', 16, 8), number('i2', 12)[0]
        (begin,), (slope, intercept) = number('i8', 168), number('f8', 176, 2)
    else:
        raise RuntimeError('no NIfTI file with its voxels in it')
    if not 0 <= begin <= _GAP_BYTES:  # ITK reads all that is before the voxels
        raise RuntimeError(f'its voxels are said to begin at byte {begin:g}')
    if code not in _NIFTI_TYPES:
        raise ValueError(
            f'{path}: its voxels are of type {code} of NIfTI, no plain numbers. Give the CT itself.'
        )
    return _Voxels(
        Path(path),
        0 if compressed else int(begin),
        'gzip' if compressed else 'raw',
        np.dtype(order + _NIFTI_TYPES[code]),
        prod(int(each) for each in sizes[1 : max(sizes[0], 0) + 1]),
        int(begin) if compressed else 0,
        slope or 1.0,
        intercept,
    )


def _check_text_header(path: Path, suffix: str) -> None:
    """Refuse text headers that send ITK to files outside their folder, or far into their voxels.

    ITK would read any file there as voxels, and would inflate all that it has to pass over.
    """
    with open(path, 'rb') as file:
        text = file.read(_HEADER_BYTES).decode('latin-1')
        longer = bool(file.read(1))
    if suffix in ('.nrrd', '.nhdr'):
        head, *rest = re.split(r'\r?\n\r?\n', text, maxsplit=1)
        found = re.search(r'^data ?file: *(.*(?:\n.*)*)', head, re.IGNORECASE | re.MULTILINE)
        whole = bool(rest) or not longer
        _check_skips(head)
    else:
        found = re.search(r'^ElementDataFile *= *(.*)', text, re.MULTILINE)
        whole = bool(found) or not longer
    if not whole:
        raise RuntimeError(f'its header does not end within {_HEADER_BYTES} bytes')
    value = found[1].strip() if found else 'LOCAL'
    if value.upper() == 'LOCAL':
        return
    # lists and patterns of files would each need their own checks, and CT volumes have none
    first, *others = value.splitlines() or ['']
    name = Path('LIST' if others and not re.match(r'[\w ]+:', others[0]) else first)
    if name.name != str(name) or '%' in str(name) or not (path.parent / name).is_file():
        raise ValueError(
            f'{path}: its voxels are in {first!r}, which is no single file in the '
            'folder of the header. Put both into one folder, or convert the volume to one file.'
        )


def _check_skips(head: str) -> None:
    """Bytes or lines that an NRRD header has its reader pass over: -1 inflates everything."""
    raw = re.search(r'^encoding: *raw', head, re.IGNORECASE | re.MULTILINE)
    for value in re.findall(r'^(?:byte|line) ?skip: *(.*)', head, re.IGNORECASE | re.MULTILINE):
        if not re.fullmatch(r'-?\d{1,18}\s*', value) or not (
            int(value) <= _GAP_BYTES if raw else 0 <= int(value) <= _HEADER_BYTES
        ):
            raise RuntimeError(f'its header has {value.strip()!r} bytes or lines passed over')


def _broken(path: str | Path, error: object) -> ValueError:
    """The last line of ITK's message tells what is wrong."""
    said = str(error).strip().splitlines() or ['it ends early']
    return ValueError(
        f'{path}: cannot be read ({said[-1]}). If it is truncated, copy or export it again.'
    )
