"""What the compressed pixels of a DICOM file become, told before they are decoded.

Decoders go by the compressed stream, not by the header around it.
"""

import pydicom
from pydicom.encaps import generate_frames
from pydicom.uid import RLELossless

from mmcovid.utils.budget import read_budget

#: A stream is smaller than what it decodes to, or little larger: 5 bytes for 4, and its header.
_MOST_GROWTH, _HEADER_BYTES = 1.25, 2**14
#: Runs of RLE are of 128 bytes at most, from two.
_RLE_RATIO = 64


def check_frame(dataset: pydicom.Dataset) -> None:
    """Make sure that a compressed frame is of the size that its header says.

    Args:
        dataset (pydicom.Dataset): With encapsulated pixels, of one frame.

    Raises:
        ValueError: It is not.
    """
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1), b'')
    size = dataset.Rows * dataset.Columns
    decoded = size * dataset.SamplesPerPixel * dataset.BitsAllocated // 8
    if len(frame) > _MOST_GROWTH * decoded + _HEADER_BYTES:
        raise ValueError(f'{len(frame)} compressed bytes of {decoded}')
    if dataset.file_meta.TransferSyntaxUID == RLELossless:
        # ordinary frames need not be looked through
        if _RLE_RATIO * len(frame) > read_budget().slice_bytes and _exceeds(frame, 2 * decoded):
            raise ValueError(f'compressed runs of far more than its {decoded} bytes')
        return
    coded = _coded_size(frame)
    if coded != (dataset.Rows, dataset.Columns, dataset.SamplesPerPixel):
        raise ValueError(
            f'its compressed stream is of {coded} rows, columns and values a pixel, its header '
            f'of {(dataset.Rows, dataset.Columns, dataset.SamplesPerPixel)}'
        )


def _exceeds(frame: bytes, limit: int) -> bool:
    """Whether the runs of an RLE frame decode to more bytes than the limit."""
    place, size = 64, 0
    while place < len(frame) and size <= limit:
        count = frame[place]
        if count > 128:  # a byte that is repeated
            size, place = size + 257 - count, place + 2
        elif count < 128:  # bytes as they are
            size, place = size + count + 1, place + count + 2
        else:
            place += 1
    return size > limit


def _coded_size(frame: bytes) -> tuple[int, int, int]:
    """Rows, columns and values a pixel by a JPEG, JPEG-LS or JPEG 2000 stream itself.

    Raises:
        ValueError: It is none.
    """
    place = 0
    if frame[4:8] == b'jP  ':  # boxes around a stream of JPEG 2000
        while frame[place + 4 : place + 8] != b'jp2c':
            length = int.from_bytes(frame[place : place + 4], 'big')
            if length < 8 or place + length >= len(frame):
                raise ValueError('no JPEG 2000 stream')
            place += length
        place += 8
    if frame[place : place + 4] == b'\xff\x4f\xff\x51':  # JPEG 2000: corners in pixels
        right, bottom, left, top = (
            int.from_bytes(frame[place + at : place + at + 4], 'big') for at in (8, 12, 16, 20)
        )
        return bottom - top, right - left, int.from_bytes(frame[place + 40 : place + 42], 'big')
    place += 2
    while frame[place : place + 1] == b'\xff':  # segments of JPEG: marker, length, content
        marker, length = frame[place + 1], int.from_bytes(frame[place + 2 : place + 4], 'big')
        # starts of a frame; the three are tables, arithmetic coding and a reserved one
        if (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)) or marker == 0xF7:
            rows, columns = (
                int.from_bytes(frame[place + at : place + at + 2], 'big') for at in (5, 7)
            )
            return rows, columns, frame[place + 9]
        place += 2 + length
    raise ValueError('no JPEG stream')
