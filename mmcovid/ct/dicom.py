"""DICOM files and series: headers first, all checks on them, then the pixels."""

import os
import zlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from io import BytesIO
from os import fspath
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pydicom
from pydicom.filereader import read_dataset, read_preamble
from pydicom.misc import is_dicom
from pydicom.pixels import apply_rescale, get_decoder
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from mmcovid.utils.budget import BudgetError, check_size, check_slice_bytes, read_budget
from mmcovid.utils.files import name_some

from .frames import check_frame
from .volume import CTVolume, Grid, make_volume

SUFFIXES = ('.dcm', '.dicom', '.ima')
_TAGS = [
    'SOPClassUID',
    'Modality',
    'SeriesInstanceUID',
    'StudyInstanceUID',
    'SeriesDescription',
    'PatientID',
    'Rows',
    'Columns',
    'NumberOfFrames',
    'SamplesPerPixel',
    'RescaleSlope',
    'RescaleIntercept',
    'ImagePositionPatient',
    'ImageOrientationPatient',
    'PixelSpacing',
    'SliceThickness',
    'BitsAllocated',
]
#: Steps between slices may differ by this part of the usual one.
STEP_TOLERANCE = 0.05
#: Headers are far shorter, and have far fewer items in sequences.
_HEADER_BYTES, _MOST_ITEMS = 2**18, 10_000
#: Of little and big endian.
_ITEM_TAGS = (b'\xfe\xff\x00\xe0', b'\xff\xfe\xe0\x00')


class Series(NamedTuple):
    """A series of a folder, in no order yet."""

    uid: str
    modality: str
    description: str
    files: tuple[str, ...]

    def __str__(self) -> str:
        return f'{self.uid} ({self.modality}, {len(self.files)} files, {self.description!r})'


class _Slice(NamedTuple):
    """What the checks need of one file's header."""

    path: str
    size: tuple[int, int]  # rows, columns
    spacing: tuple[float, float]  # of columns and of rows: x and y, in mm
    axes: np.ndarray  # (2, 3), directions of x and y
    position: np.ndarray  # (3,), mm
    thickness: float  # mm
    header: pydicom.Dataset


def is_dicom_file(path: str | Path) -> bool:
    """By its suffix or, where it has none that says so, by its first bytes."""
    path = Path(path)
    if path.name.startswith('.') or path.name == 'DICOMDIR':
        return False
    if path.suffix.lower() in SUFFIXES:
        return path.is_file()
    # exports often have no suffix at all, or the last part of a UID
    plain = not path.suffix or path.suffix[1:].isdecimal()
    return plain and path.is_file() and is_dicom(path)


def list_series(folder: str | Path) -> list[Series]:
    """The DICOM series of a folder; its sub-folders are not searched.

    Args:
        folder (str | Path): With DICOM files; others are passed over.

    Returns:
        list[Series]: By UID; none if there is no DICOM file.

    Raises:
        ValueError: A DICOM file cannot be read: a slice would be missing.
    """
    series = defaultdict(list)
    for path in sorted(Path(folder).iterdir()):
        if is_dicom_file(path):
            header = _read_header(path)
            series[str(header.SeriesInstanceUID)].append((header, fspath(path)))
    return [
        Series(
            uid,
            str(members[0][0].Modality),
            str(members[0][0].get('SeriesDescription', '')),
            tuple(p for _, p in members),
        )
        for uid, members in sorted(series.items())
    ]


def choose_series(folder: str | Path, uid: str | None = None) -> Series:
    """The series of a folder with this UID, or the only one.

    Raises:
        FileNotFoundError: The folder has no DICOM file.
        ValueError: There are several and no UID is given, or none has it.
    """
    series = list_series(folder)
    if not series:
        raise FileNotFoundError(
            f'{folder}: holds no DICOM file; sub-folders are not searched. '
            'Give the folder of one series.'
        )
    chosen = [each for each in series if uid in (None, each.uid)]
    if len(chosen) != 1:
        trouble = f'no series {uid}' if not chosen else f'{len(series)} series'
        raise ValueError(
            f'{folder}: {trouble}. Choose one by its UID, as {folder}#<UID>, of '
            + '; '.join(map(str, series))
        )
    return chosen[0]


def read_series(files: Sequence[str], path: str | Path) -> CTVolume:
    """Read the slices of one series, sorted by their position in the patient.

    Args:
        files (Sequence[str]): One slice each, in any order.
        path (str | Path): What to call it in messages and metadata.

    Raises:
        ValueError: A file or the geometry of the series is not that of a CT; see
            ``docs/en/ct_input.md``.
    """
    slices = [_parse_header(_read_header(file), file) for file in files]
    slices, step = _sort(slices, path)
    first = slices[0]
    shape = (len(slices), *first.size)
    check_size(path, *first.size, len(slices), max(_itemsize(each.header) for each in slices))
    axes = [*first.axes, _normal(first.axes)]
    stored = Grid(
        spacing=np.array([*first.spacing, step]),
        origin=first.position,
        direction=np.stack(axes, axis=1),
    )
    return make_volume(
        (_read_pixels(each.path) for each in slices),
        shape,
        stored,
        dict(
            path=fspath(path),
            files=tuple(each.path for each in slices),
            modality='CT',
            patient_id=str(first.header.get('PatientID', '')),
            study_uid=str(first.header.get('StudyInstanceUID', '')),
            series_uid=str(first.header.SeriesInstanceUID),
            series_description=str(first.header.get('SeriesDescription', '')),
        ),
    )


def _itemsize(header: pydicom.Dataset) -> int:
    return int(header.get('BitsAllocated') or 16) // 8


def _read_header(path: str | Path) -> pydicom.Dataset:
    """All but the pixels of a file."""
    check_slice_bytes(path, os.path.getsize(path), 'the file')
    try:
        dataset = _read(path, _HEADER_BYTES, stop_before_pixels=True, specific_tags=_TAGS)
        header = pydicom.Dataset()  # pydicom's own keeps the bytes that it was read from
        for element in dataset:  # values are parsed only when they are asked for
            header.add(element)
        if not (header.get('Modality') and header.get('SeriesInstanceUID')):
            raise ValueError('Modality or SeriesInstanceUID is missing')
    except BudgetError:
        raise
    except Exception as error:  # whatever broken bytes lead to
        raise ValueError(
            f'{path}: cannot be read as a DICOM image ({error}). Copy or '
            'export it again, or take it out.'
        ) from error
    return header


def _read(path: str | Path, size: int = -1, **options) -> pydicom.Dataset:
    """A file, or what is in so many bytes of it.

    Args:
        path (str | Path): The file.
        size (int): Of its beginning; of a deflated file also what is inflated at most. Defaults
            to -1: all.
        **options: Those of :func:`pydicom.dcmread`.
    """
    with open(path, 'rb') as file:
        content = file.read(size)
    content = _inflate(path, content, size)
    if sum(map(content.count, _ITEM_TAGS)) > _MOST_ITEMS:  # pydicom makes a data set of each
        raise ValueError(f'has more than {_MOST_ITEMS} items in sequences')
    return pydicom.dcmread(BytesIO(content), **options)


def _inflate(path: str | Path, content: bytes, size: int) -> bytes:
    """Make a deflated file one of plain bytes; others stay as they are.

    pydicom inflates all at once, however much that is and whatever is read of it.
    """
    file = BytesIO(content)
    read_preamble(file, force=False)
    meta = read_dataset(file, False, True, stop_when=lambda tag, *_: tag >> 16 != 2)
    syntax, head = meta.get('TransferSyntaxUID'), content[: file.tell()]
    if syntax is None and DeflatedExplicitVRLittleEndian.encode() in content:
        raise ValueError('its transfer syntax cannot be told')
    if syntax != DeflatedExplicitVRLittleEndian:
        return content
    limit = read_budget().slice_bytes
    inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(
        content[file.tell() :], limit + 1 if size < 0 else size
    )
    check_slice_bytes(path, len(inflated), 'what it inflates to')
    plain = ExplicitVRLittleEndian.encode().ljust(len(DeflatedExplicitVRLittleEndian), b'\0')
    return head.replace(DeflatedExplicitVRLittleEndian.encode(), plain) + inflated


def _parse_header(header: pydicom.Dataset, path: str) -> _Slice:
    """Check the header of one slice."""

    def need(name: str, number: int) -> np.ndarray:
        value = header.get(name)
        try:
            numbers = np.array(value, np.float64).ravel()
        except (TypeError, ValueError):
            numbers = np.empty(0)
        if value is None or numbers.size != number or not np.isfinite(numbers).all():
            raise ValueError(
                f'{path}: {name} is missing or no number ({value}). Export the CT '
                'with all its tags.'
            )
        return numbers

    if header.get('SamplesPerPixel', 1) != 1:
        raise ValueError(
            f'{path}: is a colour picture, such as a secondary capture, and has no '
            'Hounsfield units. Give the CT itself.'
        )
    if header.Modality != 'CT':
        raise ValueError(f'{path}: is of modality {header.Modality}, not CT. Give the CT series.')
    if int(header.get('NumberOfFrames') or 1) != 1:
        raise ValueError(
            f'{path}: holds {header.NumberOfFrames} frames. Convert it to NIfTI or '
            'to one file for each slice, with dcm2niix for instance.'
        )
    rows, columns = (int(need(name, 1)[0]) for name in ('Rows', 'Columns'))
    check_size(path, rows, columns)
    if need('RescaleSlope', 1)[0] == 0:
        raise ValueError(f'{path}: RescaleSlope is 0. Export the CT again.')
    need('RescaleIntercept', 1)
    axes = need('ImageOrientationPatient', 6).reshape(2, 3)
    if not np.allclose(axes @ axes.T, np.eye(2), atol=1e-3):
        raise ValueError(
            f'{path}: ImageOrientationPatient {axes.ravel().tolist()} is no pair of '
            'orthogonal unit vectors. Export the CT again.'
        )
    if abs(_normal(axes)[2]) < np.sqrt(0.5):
        raise ValueError(
            f'{path}: is no axial slice (a localiser, or sagittal or coronal). Give '
            'the axial series.'
        )
    row_step, column_step = need('PixelSpacing', 2)
    if min(row_step, column_step) <= 0:
        raise ValueError(f'{path}: PixelSpacing is not above 0. Export the CT again.')
    return _Slice(
        path,
        (rows, columns),
        (column_step, row_step),
        axes,
        need('ImagePositionPatient', 3),
        float(header.get('SliceThickness') or 1),
        header,
    )


def _normal(axes: np.ndarray) -> np.ndarray:
    """Unit normal of a slice that points to the head."""
    normal = np.cross(*axes)
    return normal / np.linalg.norm(normal) * (1 if normal[2] >= 0 else -1)


def _sort(slices: list[_Slice], path: str | Path) -> tuple[list[_Slice], float]:
    """Slices from the feet to the head, and the step between them in mm.

    Raises:
        ValueError: They are not the slices of one regular grid.
    """
    remedy = 'Complete or clean the series, or give its files one by one.'
    first = slices[0]
    sizes = Counter(each.size for each in slices)
    if len(sizes) > 1:
        odd = [each.path for each in slices if each.size != sizes.most_common(1)[0][0]]
        raise ValueError(
            f'{path}: slices of {len(sizes)} sizes, odd ones {name_some(odd)}. {remedy}'
        )
    odd = [
        each.path
        for each in slices
        if not (
            np.allclose(each.axes, first.axes, atol=1e-3)
            and np.allclose(each.spacing, first.spacing, rtol=1e-3)
        )
    ]
    if odd:
        raise ValueError(
            f'{path}: slices of another orientation or pixel spacing than '
            f'{first.path}, {name_some(odd)}. {remedy}'
        )
    if len(slices) == 1:
        return slices, abs(first.thickness) or 1.0

    normal = _normal(first.axes)
    slices = sorted(slices, key=lambda each: each.position @ normal)
    positions = np.stack([each.position for each in slices])
    steps = np.diff(positions @ normal)
    usual = float(np.median(steps))
    twice = np.flatnonzero(steps < max(0.01, usual * 0.01))
    if len(twice):
        pairs = [f'{slices[i].path} and {slices[i + 1].path}' for i in twice]
        raise ValueError(f'{path}: two slices at one position, {name_some(pairs)}. {remedy}')
    irregular = np.flatnonzero(np.abs(steps - usual) > STEP_TOLERANCE * usual)
    if len(irregular):
        gaps = [
            f'{steps[i]:.2f} mm between {slices[i].path} and {slices[i + 1].path}'
            for i in irregular
        ]
        raise ValueError(
            f'{path}: slices are {usual:.2f} mm apart, but not everywhere, '
            f'{name_some(gaps)}. Slices may be missing. {remedy}'
        )
    drift = positions - positions[0]
    drift = np.linalg.norm(drift - np.outer(drift @ normal, normal), axis=1).max()
    if drift > min(first.spacing):
        raise ValueError(
            f'{path}: slices are shifted by up to {drift:.2f} mm against each other '
            '(gantry tilt). Resample the series to a straight grid, with dcm2niix '
            'for instance, or give its files one by one.'
        )
    return slices, usual


def _read_pixels(path: str) -> np.ndarray:
    """One slice in HU, (H, W).

    Photometric interpretation plays no part: MONOCHROME1 says that low values are shown white,
    and HU are what rescaling makes of the stored values in either case.
    """
    try:
        dataset = _read(path)
        syntax = dataset.file_meta.TransferSyntaxUID
        if not get_decoder(syntax).is_available:
            raise ValueError(
                f'no decoder for {syntax.name}: pip install pylibjpeg '
                'pylibjpeg-libjpeg pylibjpeg-openjpeg'
            )
        if syntax.is_encapsulated:
            check_frame(dataset)
        pixels = dataset.pixel_array
        if pixels.shape != (dataset.Rows, dataset.Columns):
            raise ValueError(f'pixels of shape {pixels.shape}')
        return apply_rescale(pixels, dataset).astype(np.float32)
    except BudgetError:
        raise
    except Exception as error:  # decoders raise what they like
        raise ValueError(
            f'{path}: its pixels cannot be read ({error}). If the file is truncated, '
            'copy or export it again.'
        ) from error
