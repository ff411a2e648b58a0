"""Small files that would be gigabytes when decoded, and what reading them costs.

Each is read in a process of its own. The table has the seconds that it computed, without its
imports and whatever else the machine does, and the peak of its memory. With --volumes the same is
measured of volumes within the budget: reading one must not need more than twice its size.
"""

import argparse
import gzip
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pydicom
import SimpleITK as sitk
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

SECONDS, BYTES = 5, 1.5e9
GIB, BLOCK = 2**30, 2**26
#: What the process of a bomb does.
READ = """
import re, sys, time
from mmcovid.ct import InputKind, kind_of, read_slice, read_volume
import SimpleITK
path = sys.argv[1]
begun = time.process_time()
try:
    if kind_of(path) is InputKind.PICTURE:
        answer = f'read: {read_slice(path).shape}'
    else:
        array = read_volume(path).array
        answer = f'read: {array.shape}, {array.dtype}'
except (OSError, ValueError) as error:
    answer = str(error)
seconds = time.process_time() - begun
# not ru_maxrss, in which that of the process that started this one counts
peak = re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]
print(seconds, int(peak) * 1024, answer, sep='|')
"""

BOMBS: dict[str, Callable[[Path], None]] = {}


def bomb(name: str) -> Callable:
    """Decorator of what writes a file of this name."""
    return lambda write: BOMBS.setdefault(name, write)


def gzipped_zeros(size: int) -> bytes:
    """So many zero bytes as members of gzip, one after the other: made in no time."""
    return gzip.compress(bytes(BLOCK)) * (size // BLOCK)


def deflated_zeros(size: int, head: bytes = b'', wbits: int = zlib.MAX_WBITS) -> bytes:
    """A head and so many zero bytes as one stream of blocks that know nothing of each other."""
    stream = zlib.compressobj(9, zlib.DEFLATED, wbits)
    begin = stream.compress(head) + stream.flush(zlib.Z_FULL_FLUSH)
    block = stream.compress(bytes(BLOCK)) + stream.flush(zlib.Z_FULL_FLUSH)
    return begin + block * (size // BLOCK) + stream.flush()


def sparse(path: Path, head: bytes, size: int) -> None:
    """A file of that size that takes no room on the disk."""
    with open(path, 'wb') as file:
        file.write(head)
        file.truncate(size)


# Pictures


def png_chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content).to_bytes(4, 'big')
    return len(content).to_bytes(4, 'big') + kind + content + checksum


def png(
    width: int, height: int, depth: int = 8, colour: int = 0, before: bytes = b'', interlaced=0
) -> bytes:
    """A PNG of zeros, with other chunks before its pixels."""
    row = width * depth * {0: 1, 2: 3, 6: 4}[colour] // 8 + 1
    pixels = zlib.compress(bytes(min(row * height, BLOCK)), 9)
    header = struct.pack('>IIBBBBB', width, height, depth, colour, 0, 0, interlaced)
    return b'\x89PNG\r\n\x1a\n' + b''.join(
        [png_chunk(b'IHDR', header), before, png_chunk(b'IDAT', pixels), png_chunk(b'IEND', b'')]
    )


def png_bomb(name: str, kind: bytes = b'', **options) -> None:
    """A PNG of zeros; with a kind, behind a chunk of it that inflates to 1 GiB."""

    @bomb(name)
    def _(path: Path) -> None:
        before = png_chunk(kind, b'a\0\0' + deflated_zeros(GIB)) if kind else b''
        path.write_bytes(png(before=before, **options))


png_bomb('size.png', width=65535, height=65535)
png_bomb('one_bit.png', width=30000, height=30000, depth=1)
png_bomb('sixteen_bits.png', width=20000, height=20000, depth=16)
png_bomb('colours.png', width=8192, height=8192, depth=16, colour=6)
png_bomb('thin.png', width=2**30, height=1)
png_bomb('interlaced.png', width=30000, height=30000, interlaced=1)
png_bomb('text.png', b'zTXt', width=30000, height=30000)
png_bomb('profile.png', b'iCCP', width=20000, height=20000)
png_bomb('text_of_a_small_one.png', b'zTXt', width=64, height=64)


@bomb('sparse.png')
def _(path: Path) -> None:
    sparse(path, png(64, 64), 20 * GIB)


def jpeg(size: int, **options) -> bytes:
    encoded = cv2.imencode('.jpg', np.zeros((size, size), np.uint8), list(options.items()))[1]
    return encoded.tobytes()


def jpeg_of_size(rows: int, columns: int) -> bytes:
    content = bytearray(jpeg(64))
    place = content.index(b'\xff\xc0')
    content[place + 5 : place + 9] = struct.pack('>HH', rows, columns)
    return bytes(content)


@bomb('size.jpg')
def _(path: Path) -> None:
    path.write_bytes(jpeg_of_size(65500, 65500))


@bomb('scans.jpg')
def _(path: Path) -> None:
    image = Image.new('L', (4096, 4096))
    image.save(path, progressive=True)
    content = path.read_bytes()
    last = content.rindex(b'\xff\xda')
    path.write_bytes(content[:last] + content[last:-2] * 2000 + b'\xff\xd9')


def tiff(entries: dict[int, tuple[int, int, int]], pixels: bytes = b'', pages: int = 1) -> bytes:
    """A TIFF of so many pages, by tag: type, count and value."""
    listed = b''.join(struct.pack('<HHII', tag, *entry) for tag, entry in sorted(entries.items()))
    size = 2 + len(listed) + 4
    begin = 8 + len(pixels)
    directories = []
    for page in range(1, pages + 1):
        following = begin + size * page if page < pages else 0
        directories.append(struct.pack('<H', len(entries)) + listed + struct.pack('<I', following))
    return b'II*\0' + struct.pack('<I', begin) + pixels + b''.join(directories)


def tags(width: int, height: int, compression: int = 8, length: int = 0, **more) -> dict:
    """Tags of a grey TIFF in one strip."""
    return {
        256: (4, 1, width), 257: (4, 1, height), 258: (3, 1, 8), 259: (3, 1, compression),
        262: (3, 1, 1), 273: (4, 1, 8), 277: (3, 1, 1), 278: (4, 1, height), 279: (4, 1, length),
        **{int(key[1:]): value for key, value in more.items()},
    }  # fmt: skip


@bomb('size.tif')
def _(path: Path) -> None:
    pixels = deflated_zeros(2**27)
    path.write_bytes(tiff(tags(60000, 60000, length=len(pixels)), pixels))


@bomb('doubles.tif')
def _(path: Path) -> None:
    pixels = deflated_zeros(2**27)
    doubles = dict(t258=(3, 1, 64), t339=(3, 1, 3))
    path.write_bytes(tiff(tags(20000, 20000, length=len(pixels), **doubles), pixels))


@bomb('pages.tif')
def _(path: Path) -> None:
    path.write_bytes(tiff(tags(8, 8, 1, 64), bytes(64), 100_000))


@bomb('pages_in_a_ring.tif')
def _(path: Path) -> None:
    content = tiff(tags(8, 8, 1, 64), bytes(64), 3)
    path.write_bytes(content[:-4] + struct.pack('<I', 72))


@bomb('tile.tif')
def _(path: Path) -> None:
    pixels = deflated_zeros(GIB)
    tile = dict(t322=(4, 1, 32768), t323=(4, 1, 32768), t324=(4, 1, 8), t325=(4, 1, len(pixels)))
    path.write_bytes(tiff({**tags(16, 16), **tags(16, 16, **tile)}, pixels))


@bomb('samples.tif')
def _(path: Path) -> None:
    path.write_bytes(tiff(tags(4096, 4096, 1, 64, t277=(3, 1, 60000)), bytes(64)))


@bomb('animated.webp')
def _(path: Path) -> None:
    pages = [Image.new('L', (64, 64), number % 256) for number in range(300)]
    pages[0].save(path, save_all=True, append_images=pages[1:])


@bomb('size.webp')
def _(path: Path) -> None:
    size = struct.pack('<I', 16382 | 16382 << 14)
    chunk = b'VP8L' + struct.pack('<I', 6) + b'\x2f' + size + b'\0'
    path.write_bytes(b'RIFF' + struct.pack('<I', 4 + len(chunk)) + b'WEBP' + chunk)


@bomb('size.bmp')
def _(path: Path) -> None:
    header = struct.pack('<IiiHHIIiiII', 40, 65535, 65535, 1, 8, 1, 0, 1, 1, 256, 0)
    palette = bytes(4 * 256)
    path.write_bytes(b'BM' + struct.pack('<IHHI', 0, 0, 0, 54 + len(palette)) + header + palette)


@bomb('size.pgm')
def _(path: Path) -> None:
    path.write_bytes(b'P5 99999 99999 255\n' + bytes(100))


# Volumes in one file


def nifti(shape: tuple[int, ...], code: int = 4, bits: int = 16, begin: float = 352) -> bytes:
    """A header of NIfTI-1."""
    header = bytearray(352)
    struct.pack_into('<i', header, 0, 348)
    struct.pack_into('<8h', header, 40, len(shape), *shape, *[1] * (7 - len(shape)))
    struct.pack_into('<hh', header, 70, code, bits)
    struct.pack_into('<8f', header, 76, *[1.0] * 8)
    struct.pack_into('<f', header, 108, begin)
    header[344:348] = b'n+1\0'
    return bytes(header)


@bomb('zeros.nii.gz')
def _(path: Path) -> None:
    head = gzip.compress(nifti((1024, 1024, 1024)))
    path.write_bytes(head + gzipped_zeros(2 * GIB))


@bomb('doubles.nii.gz')
def _(path: Path) -> None:
    head = gzip.compress(nifti((512, 512, 1024), 64, 64))
    path.write_bytes(head + gzipped_zeros(2 * GIB))


@bomb('bytes.nii.gz')
def _(path: Path) -> None:
    head = gzip.compress(nifti((1024, 1024, 1024), 2, 8))
    path.write_bytes(head + gzipped_zeros(GIB))


@bomb('sparse.nii')
def _(path: Path) -> None:
    sparse(path, nifti((1024, 1024, 1024), 64, 64), 352 + 8 * GIB)


@bomb('size.nii.gz')
def _(path: Path) -> None:
    path.write_bytes(gzip.compress(nifti((32767, 32767, 32767))))


@bomb('axes.nii.gz')
def _(path: Path) -> None:
    path.write_bytes(gzip.compress(nifti((64, 64, 64, 999, 999, 1, 1))))


@bomb('late_voxels.nii.gz')
def _(path: Path) -> None:
    head = gzip.compress(nifti((64, 64, 8), begin=8e9))
    path.write_bytes(head + gzipped_zeros(8 * GIB))


@bomb('extension.nii.gz')
def _(path: Path) -> None:
    head = nifti((64, 64, 8), begin=2e9)[:348] + b'\1\0\0\0' + struct.pack('<ii', 2**31 - 16, 6)
    path.write_bytes(gzip.compress(head) + gzipped_zeros(2 * GIB))


@bomb('nifti_2.nii.gz')
def _(path: Path) -> None:
    header = bytearray(544)
    struct.pack_into('<i8s', header, 0, 540, b'n+2\0\r\n\x1a\n')
    struct.pack_into('<hh8q', header, 12, 4, 16, 3, 2**20, 2**20, 2**20, 1, 1, 1, 1)
    struct.pack_into('<q', header, 168, 544)
    path.write_bytes(gzip.compress(bytes(header)))


@bomb('ends_early.nii.gz')
def _(path: Path) -> None:
    head = gzip.compress(nifti((512, 512, 1000)))
    path.write_bytes(head + gzipped_zeros(GIB // 4))


def nrrd(sizes: str, voxels: bytes, encoding: str = 'gzip', type_: str = 'short', more='') -> bytes:
    dimension = len(sizes.split())
    return (
        f'NRRD0004\ntype: {type_}\ndimension: {dimension}\nsizes: {sizes}\nendian: little\n'
        f'encoding: {encoding}\n{more}\n'
    ).encode() + voxels


NRRDS = {
    'zeros.nrrd': ('1024 1024 1024', 2 * GIB, {}),
    'doubles.nrrd': ('512 512 1024', 2 * GIB, dict(type_='double')),
    'size.nrrd': ('8589934592 8589934592 2', 0, {}),
    'axes.nrrd': ('64 64 64 64 64 64', 0, {}),
    'from_the_end.nrrd': ('64 64 8', 8 * GIB, dict(more='byte skip: -1\n')),
    'bytes_passed_over.nrrd': ('64 64 8', 8 * GIB, dict(more='byte skip: 8000000000\n')),
    'lines_passed_over.nrrd': ('64 64 8', 8 * GIB, dict(more='line skip: 8000000000\n')),
    'long_header.nrrd': ('64 64 8', 0, dict(more='# comment\n' * 10**7)),
    'text.nrrd': ('1024 1024 290', 0, dict(encoding='ascii')),
    'ends_early.nrrd': ('512 512 1000', GIB // 4, {}),
}
for name, (sizes, size, options) in NRRDS.items():
    BOMBS[name] = lambda path, sizes=sizes, size=size, options=options: path.write_bytes(
        nrrd(sizes, gzipped_zeros(size), **options)
    )


@bomb('sparse.nrrd')
def _(path: Path) -> None:
    sparse(path, nrrd('1024 1024 1024', b'', 'raw', 'double'), 9 * GIB)


@bomb('beside.nhdr')
def _(path: Path) -> None:
    path.with_suffix('.raw.gz').write_bytes(gzipped_zeros(2 * GIB))
    path.write_bytes(nrrd('1024 1024 1024', b'', more='data file: beside.raw.gz\n'))


def metaimage(size: str, more: str, data: str = 'LOCAL') -> bytes:
    return (
        f'ObjectType = Image\nNDims = {len(size.split())}\nBinaryData = True\n'
        f'BinaryDataByteOrderMSB = False\n{more}DimSize = {size}\nElementType = MET_SHORT\n'
        f'ElementDataFile = {data}\n'
    ).encode()


COMPRESSED = 'CompressedData = True\n'
METAIMAGES = {
    'zeros.mha': ('1024 1024 1024', COMPRESSED, 2 * GIB),
    'size.mha': ('65535 65535 65535', COMPRESSED, 0),
    'more_than_it_says.mha': (
        '4096 4096 30',
        COMPRESSED + 'CompressedDataSize = 9999999999999\n',
        0,
    ),
    'channels.mha': ('64 64 64', 'ElementNumberOfChannels = 100000\n', 0),
    'far.mha': ('512 512 1000', 'HeaderSize = 9999999999\n', 0),
    'text.mha': ('1024 1024 290', 'BinaryData = False\n', 0),
    'long_header.mha': ('64 64 64', 'Comment = comment\n' * 10**7, 0),
    'ends_early.mha': ('512 512 1000', COMPRESSED, GIB // 4),
}
for name, (dimensions, options, size) in METAIMAGES.items():
    BOMBS[name] = lambda path, dimensions=dimensions, options=options, size=size: path.write_bytes(
        metaimage(dimensions, options) + deflated_zeros(size)
    )


@bomb('beside.mhd')
def _(path: Path) -> None:
    path.with_suffix('.zraw').write_bytes(deflated_zeros(2 * GIB))
    path.write_bytes(metaimage('1024 1024 1024', COMPRESSED, 'beside.zraw'))


# DICOM


def dicom(path: Path, syntax: str = ExplicitVRLittleEndian, position: float = 0, **changes) -> None:
    """Write a slice of a CT; a change to None takes a tag out."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, f'1.2.{position:.0f}'
    dataset.Modality, dataset.SeriesInstanceUID, dataset.StudyInstanceUID = 'CT', '1.2.3', '1.2.4'
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, 'MONOCHROME2'
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.PixelRepresentation, dataset.RescaleSlope, dataset.RescaleIntercept = 0, 1, -1024
    dataset.ImagePositionPatient = [0.0, 0.0, position]
    dataset.ImageOrientationPatient, dataset.PixelSpacing = [1, 0, 0, 0, 1, 0], [0.7, 0.7]
    dataset.Rows = dataset.Columns = 512
    dataset.PixelData = bytes(2 * 512 * 512)
    for name, value in changes.items():
        setattr(dataset, name, value)
    if pydicom.uid.UID(syntax).is_encapsulated:
        dataset['PixelData'].VR = 'OB'
    dataset.save_as(path, enforce_file_format=True)


def deflate(path: Path, size: int, position: float = 0) -> None:
    """A deflated file with so many zero bytes of pixels."""
    dicom(path, DeflatedExplicitVRLittleEndian, position)
    plain = path.with_suffix('.plain')
    dicom(plain, position=position)
    whole = plain.read_bytes()
    head = whole.rindex(b'\xe0\x7f\x10\x00OW')
    begin = whole.index(b'\x08\x00\x16\x00UI')  # of the data set, after the file meta
    pixels = whole[head : head + 8] + struct.pack('<I', size)
    deflated = path.read_bytes()
    meta = deflated[: 144 + int.from_bytes(deflated[140:144], 'little')]
    path.write_bytes(meta + deflated_zeros(size, whole[begin:head] + pixels, -zlib.MAX_WBITS))
    plain.unlink()


@bomb('deflate.dcm')
def _(path: Path) -> None:
    deflate(path, 4 * GIB - 2**26)


@bomb('deflate_in_a_series')
def _(path: Path) -> None:
    path.mkdir()
    for number in range(5):
        dicom(path / f'{number}.dcm', position=number)
    deflate(path / '5.dcm', 2 * GIB, 5)


@bomb('long_series')
def _(path: Path) -> None:
    path.mkdir()
    for number in range(80):
        dicom(path / f'{number}.dcm', DeflatedExplicitVRLittleEndian, number, Rows=2048,
              Columns=2048, PixelData=bytes(2 * 2048 * 2048))  # fmt: skip


@bomb('size.dcm')
def _(path: Path) -> None:
    dicom(path, Rows=65535, Columns=65535)


@bomb('frames.dcm')
def _(path: Path) -> None:
    dicom(path, NumberOfFrames=10**6)


@bomb('sparse.dcm')
def _(path: Path) -> None:
    dicom(path)
    content = path.read_bytes()
    place = content.rindex(b'\xe0\x7f\x10\x00OW')
    head = content[: place + 8] + struct.pack('<I', 4 * GIB - 2)
    sparse(path, head, len(head) + 4 * GIB - 2)


@bomb('nested.dcm')
def _(path: Path) -> None:
    dicom(path)
    content = path.read_bytes()
    place = content.index(b'\x28\x00\x02\x00US')
    begin = b'\x09\x00\x10\x10SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff'
    path.write_bytes(content[:place] + begin * 200_000 + content[place:])


@bomb('items.dcm')
def _(path: Path) -> None:
    dicom(path)
    content = path.read_bytes()
    place = content.index(b'\x28\x00\x02\x00US')
    items = b'\xfe\xff\x00\xe0\0\0\0\0' * 1_000_000
    sequence = b'\x09\x00\x10\x10SQ\0\0\xff\xff\xff\xff' + items + b'\xfe\xff\xdd\xe0\0\0\0\0'
    path.write_bytes(content[:place] + sequence + content[place:])


@bomb('long_text.dcm')
def _(path: Path) -> None:
    dicom(path, ImageComments='a' * 10**8)


def encapsulated(path: Path, syntax: str, frame: bytes, **changes) -> None:
    dicom(path, syntax, PixelData=encapsulate([frame]), **changes)


def rle(rows: int, runs: int) -> bytes:
    """Two segments of runs of 128 bytes."""
    segment = b'\x81\0' * runs
    return struct.pack('<16I', 2, 64, 64 + len(segment), *[0] * 13) + segment * 2


@bomb('runs.dcm')
def _(path: Path) -> None:
    encapsulated(path, RLELossless, rle(512, 10**7))


@bomb('runs_of_a_large_one.dcm')
def _(path: Path) -> None:
    encapsulated(path, RLELossless, rle(4096, 9 * 10**6), Rows=4096, Columns=4096)


@bomb('jpeg.dcm')
def _(path: Path) -> None:
    encapsulated(
        path, JPEGBaseline8Bit, jpeg_of_size(65500, 65500), BitsAllocated=8, BitsStored=8, HighBit=7
    )


def jpeg_2000(width: int, height: int, components: int = 1) -> bytes:
    content = bytearray(cv2.imencode('.jp2', np.zeros((64, 64), np.uint16))[1].tobytes())
    content = content[content.index(b'\xff\x4f\xff\x51') :]
    content[8:16] = content[24:32] = struct.pack('>II', width, height)
    content[40:42] = struct.pack('>H', components)
    return bytes(content)


@bomb('jpeg_2000.dcm')
def _(path: Path) -> None:
    encapsulated(path, JPEG2000Lossless, jpeg_2000(60000, 60000))


@bomb('jpeg_2000_components.dcm')
def _(path: Path) -> None:
    encapsulated(path, JPEG2000Lossless, jpeg_2000(512, 512, 16384))


@bomb('jpeg_2000_in_boxes.dcm')
def _(path: Path) -> None:
    fake = b'\xff\x4f\xff\x51' + jpeg_2000(512, 512)[4:]
    boxes = b'\0\0\0\x0cjP  \r\n\x87\n' + struct.pack('>I', 8 + len(fake)) + b'xml ' + fake
    real = jpeg_2000(60000, 60000)
    boxes += struct.pack('>I', 8 + len(real)) + b'jp2c' + real
    encapsulated(path, JPEG2000Lossless, boxes)


@bomb('jpeg_ls.dcm')
def _(path: Path) -> None:
    frame = b'\xff\xd8\xff\xf7\0\x0b\x10' + struct.pack('>HH', 65535, 65535) + b'\1\1\x11\0'
    frame += b'\xff\xda\0\x08\1\1\0\0\0\0' + bytes(1000) + b'\xff\xd9'
    encapsulated(path, JPEGLSLossless, frame)


# Measuring


def measure(path: Path) -> tuple[float, int, str]:
    """Seconds, peak memory in bytes, and the answer of a process that reads a file."""
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', READ, str(path)], capture_output=True, text=True
    )
    if done.returncode:
        return float('inf'), 0, f'DIED ({done.returncode}): {done.stderr[-300:]}'
    seconds, memory, answer = done.stdout.strip().rpartition('\n')[2].split('|', 2)
    return float(seconds), int(memory), answer


def defuse(folder: Path, names: list[str]) -> Iterator[tuple[str, int, float, int, str]]:
    """Name, size, seconds, memory and answer of each bomb."""
    for name in names:
        path = folder / name
        BOMBS[name](path)
        files = list(path.iterdir()) if path.is_dir() else [path]
        stored = sum(file.stat().st_blocks * 512 for file in files)
        yield name, stored, *measure(path)


def volumes(folder: Path, slices: int) -> Iterator[tuple[str, int, float, int, str]]:
    """The same of volumes of 512 x 512 pixels within the budget."""
    rng = np.random.default_rng(0)
    array = rng.integers(-1000, 1000, (slices, 512, 512)).astype(np.int16)
    image = sitk.GetImageFromArray(array)
    for name in ('a.nii', 'a.nii.gz', 'a.nrrd', 'b.nrrd', 'a.mha', 'b.mha'):
        sitk.WriteImage(
            image, str(folder / name), useCompression=name[0] == 'b', compressionLevel=1
        )
    for type_, name in ((sitk.sitkFloat32, 'float32.nii'), (sitk.sitkFloat32, 'float32.nrrd')):
        sitk.WriteImage(sitk.Cast(image, type_) + 0.5, str(folder / name))
    (folder / 'series').mkdir()
    for number, plane in enumerate(array):
        pixels = (plane + 1024).astype(np.uint16).tobytes()
        dicom(folder / f'series/{number}.dcm', position=number, PixelData=pixels)
    del image
    for path in sorted(folder.iterdir()):
        size = array.size * (4 if 'float' in path.name else 2)
        yield path.name, size, *measure(path)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('names', nargs='*', help='bombs to make (default: all)')
    parser.add_argument('--volumes', type=int, metavar='SLICES', help='volumes of so many slices')
    args = parser.parse_args()
    imports = measure(Path('absent.nii'))[1]
    print(f'imports alone: {imports / 1e6:.0f} MB')
    failed = total = 0
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        results = (
            volumes(Path(folder), args.volumes)
            if args.volumes
            else defuse(Path(folder), args.names or list(BOMBS))
        )
        for name, stored, seconds, memory, answer in results:
            if args.volumes:
                bad, size = (memory - imports) > 2 * stored, f'{(memory - imports) / stored:.2f}x'
            else:
                bad, size = seconds > SECONDS or memory > BYTES, ''
                bad |= answer.startswith('read') or '\n' in answer
            failed, total = failed + bad, total + 1
            answer = answer.replace(f'{folder}/', '')
            print(
                f'{"FAILED" if bad else "ok":6} {name:28} {stored / 1e6:7.1f} MB {seconds:6.2f} s '
                f'{memory / 1e6:6.0f} MB {size} {answer}',
                flush=True,
            )
    print(f'{total - failed} of {total} as they should be, in {time.monotonic() - begun:.0f} s')
    return int(failed > 0)


if __name__ == '__main__':
    sys.exit(main())
