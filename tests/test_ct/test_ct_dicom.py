import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from ct_utils import SERIES, STEP, chest, write_series, write_slice
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from mmcovid.ct import list_series, read_volume
from mmcovid.utils.budget import BudgetError

HU = chest()


def fails(path, *parts):
    """Reading must fail with a message that names the path and has these parts."""
    with pytest.raises((ValueError, FileNotFoundError)) as caught, warnings.catch_warnings():
        warnings.simplefilter('ignore')  # pydicom's own, of the same trouble
        read_volume(path)
    message = str(caught.value)
    assert str(path) in message
    for part in parts:
        assert part in message, message


def test_series_is_sorted_by_position(tmp_path):
    volume = read_volume(write_series(tmp_path / 's', HU))
    np.testing.assert_array_equal(volume.array, HU)
    assert volume.array.dtype == np.int16
    assert volume.spacing == (0.6, 0.7, STEP)
    assert volume.origin == (-10, -20, 0)
    assert volume.direction == (1, 0, 0, 0, 1, 0, 0, 0, 1)
    assert [Path(file).name for file in volume.metadata['files']] == [
        '003.dcm',
        '010.dcm',
        '017.dcm',
        '024.dcm',
        '031.dcm',
    ]
    assert volume.metadata['series_uid'] == SERIES


def test_files_without_a_suffix_and_others_beside(tmp_path):
    folder = write_series(tmp_path, HU, names=['IM1', '1.2.840.5', 'c.IMA', 'd.dcm', 'IM5'])
    (folder / 'DICOMDIR').write_bytes(b'\0' * 128 + b'DICM')
    (folder / '._d.dcm').write_bytes(b'left by another system')
    (folder / 'notes.txt').write_text('no slice')
    (folder / 'README').write_text('no slice')
    np.testing.assert_array_equal(read_volume(folder).array, HU)


def test_prone_patient_from_head_to_feet(tmp_path):
    """Rows then run to the left, columns to the front; the slices must look as ever."""
    for i, plane in enumerate(HU):
        write_slice(
            tmp_path / f'{i}.dcm',
            plane[::-1, ::-1],
            (8, 9, i * STEP),
            ImageOrientationPatient=[-1, 0, 0, 0, -1, 0],
        )
    np.testing.assert_array_equal(read_volume(tmp_path).array, HU)


@pytest.mark.parametrize(
    'changes',
    [
        dict(PhotometricInterpretation='MONOCHROME1'),
        dict(RescaleSlope=0.5),
        dict(RescaleIntercept=-2048),
        dict(RescaleSlope=2, RescaleIntercept=-8192),
    ],
)
def test_rescaling_gives_hu_whatever_is_stored(tmp_path, changes):
    even = HU // 2 * 2
    path = write_slice(tmp_path / 'a.dcm', even[0], **changes)
    np.testing.assert_array_equal(read_volume(path).array, even[:1])


def test_real_file_of_pydicom():
    path = get_testdata_file('CT_small.dcm')
    volume = read_volume(path)
    dataset = pydicom.dcmread(path)
    expected = dataset.pixel_array.astype(int) * dataset.RescaleSlope + dataset.RescaleIntercept
    np.testing.assert_array_equal(volume.array[0], expected)
    assert volume.spacing[:2] == pytest.approx((0.661468, 0.661468))


def test_magnetic_resonance_is_no_ct():
    fails(get_testdata_file('MR_small.dcm'), 'modality MR')


def test_compressed_pixels_that_no_decoder_reads(tmp_path):
    path = write_slice(tmp_path / 'a.dcm', HU[0])
    dataset = pydicom.dcmread(path)
    dataset.PixelData = encapsulate([b'\xff\x4f\xff\x51' + b'\0' * 100])
    dataset['PixelData'].VR = 'OB'
    for syntax in (JPEG2000Lossless, '1.2.840.10008.1.2.4.106'):
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
        dataset.save_as(path)
        fails(path, 'pixels cannot be read')


def test_compressed_with_a_decoder(tmp_path):
    path = write_slice(tmp_path / 'a.dcm', HU[0])
    dataset = pydicom.dcmread(path)
    dataset.compress(RLELossless)
    dataset.save_as(path)
    np.testing.assert_array_equal(read_volume(path).array, HU[:1])


def compressed(path, syntax, frame, **changes):
    """A slice with this frame in place of its pixels."""
    write_slice(path, HU[0], **changes)
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate([frame])
    dataset['PixelData'].VR = 'OB'
    dataset.save_as(path)
    return path


def jpeg_2000(width, height, components=1):
    """Where a stream begins: its size, a tile of that size, and its components."""
    corners = b''.join(each.to_bytes(4, 'big') for each in (width, height, 0, 0) * 2)
    return b'\xff\x4f\xff\x51\0\x29\0\0' + corners + components.to_bytes(2, 'big') + bytes(400)


def jpeg(rows, columns, marker=0xC3):
    size = rows.to_bytes(2, 'big') + columns.to_bytes(2, 'big')
    return b'\xff\xd8\xff\xe0\0\4\0\0\xff' + bytes([marker]) + b'\0\x0b\x10' + size + b'\1\1\x11\0'


@pytest.mark.parametrize(
    'syntax, frame, said',
    [
        (JPEG2000Lossless, jpeg_2000(60000, 60000), '(60000, 60000, 1)'),
        (JPEG2000Lossless, jpeg_2000(32, 32, 16384), '(32, 32, 16384)'),
        (JPEG2000Lossless, b'\0\0\0\x0cjP  1234\0\0\0\x08jp2c' + jpeg_2000(9, 8), '(8, 9, 1)'),
        (JPEG2000Lossless, b'\0\0\0\x0cjP  1234\0\0\0\0xml ', 'no JPEG 2000 stream'),
        (JPEGLSLossless, jpeg(65535, 65535, 0xF7), '(65535, 65535, 1)'),
        (JPEGBaseline8Bit, jpeg(64, 32, 0xC0), '(64, 32, 1)'),
        (JPEGBaseline8Bit, b'\xff\xd8\xff\xd9', 'no JPEG stream'),
        (RLELossless, bytes(30_000), '30000 compressed bytes of 2048'),
    ],
)
def test_frames_of_another_size_than_the_header_says(tmp_path, syntax, frame, said):
    fails(compressed(tmp_path / 'a.dcm', syntax, frame), said)


def test_runs_of_more_than_the_header_says(tmp_path, monkeypatch):
    monkeypatch.setenv('MMCOVID_MAX_SLICE_PIXELS', '4096')
    frame = (2).to_bytes(4, 'little') + bytes(60) + b'\x81\0' * 2000
    fails(compressed(tmp_path / 'a.dcm', RLELossless, frame), 'compressed runs of far more')


@pytest.mark.parametrize('syntax', [JPEGLSLossless, RLELossless])
def test_whole_compressed_frames_pass(tmp_path, monkeypatch, syntax):
    if syntax == RLELossless:  # of which small frames need not be looked through
        monkeypatch.setenv('MMCOVID_MAX_SLICE_PIXELS', '1024')
    path = write_slice(tmp_path / 'a.dcm', HU[0])
    dataset = pydicom.dcmread(path)
    dataset.compress(syntax)
    dataset.save_as(path)
    np.testing.assert_array_equal(read_volume(path).array, HU[:1])


def deflated(path, hu, position=(0, 0, 0), **changes):
    write_slice(path, hu, position, **changes)
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(path)
    return path


def test_deflated_series(tmp_path):
    for i, plane in enumerate(HU):
        deflated(tmp_path / f'{i}.dcm', plane, (0, 0, i * STEP))
    np.testing.assert_array_equal(read_volume(tmp_path).array, HU)


def test_deflated_bomb(tmp_path, monkeypatch):
    path = deflated(tmp_path / 'a.dcm', HU[0], PixelData=bytes(2**20))
    assert path.stat().st_size < 2**14
    monkeypatch.setenv('MMCOVID_MAX_SLICE_PIXELS', str(2**14))
    with pytest.raises(BudgetError, match='a.dcm: what it inflates to is above the limit'):
        read_volume(path)


def test_file_of_more_bytes_than_a_slice_has(tmp_path):
    path = write_slice(tmp_path / 'a.dcm', HU[0])
    with open(path, 'ab') as file:
        file.truncate(2**30)  # takes no room on the disk
    with pytest.raises(BudgetError, match='a.dcm: the file is above the limit'):
        read_volume(path)


@pytest.mark.parametrize('tag', [0x00090010, 0x60011010])  # before and behind what is needed
def test_sequence_of_endless_items(tmp_path, tag):
    path = write_slice(tmp_path / 'a.dcm', HU[0])
    content = path.read_bytes()
    pixels = b'\xe0\x7f\x10\0OW'
    place = content.index(b'\x28\0\x02\0US' if tag < 0x00280002 else pixels)
    items = b'\xfe\xff\0\xe0\0\0\0\0' * 20_000
    group = tag.to_bytes(4, 'big')
    begin = group[1::-1] + group[:1:-1] + b'SQ\0\0\xff\xff\xff\xff'
    end = b'\xfe\xff\xdd\xe0\0\0\0\0'
    path.write_bytes(content[:place] + begin + items + end + content[place:])
    fails(path, 'more than 10000 items in sequences')


def test_missing_decoder_is_named(tmp_path, monkeypatch):
    path = write_slice(tmp_path / 'a.dcm', HU[0])

    class NoDecoder:
        is_available = False

    monkeypatch.setattr('mmcovid.ct.dicom.get_decoder', lambda uid: NoDecoder)
    fails(path, 'no decoder for Explicit VR', 'pip install pylibjpeg')


@pytest.mark.parametrize('share', [0.03, 0.1, 0.5, 0.99])
def test_truncated(tmp_path, share):
    path = write_slice(tmp_path / 'a.dcm', HU[0])
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    fails(path, 'again')


def test_one_truncated_slice_of_a_series(tmp_path):
    folder = write_series(tmp_path, HU)
    broken = folder / '010.dcm'
    broken.write_bytes(broken.read_bytes()[:-100])
    with pytest.raises(ValueError, match='010.dcm: its pixels cannot be read'):
        read_volume(folder)
    broken.write_bytes(b'\0' * 128 + b'DICM' + b'\1' * 100)
    with pytest.raises(ValueError, match='010.dcm'):
        read_volume(folder)


@pytest.mark.parametrize(
    'tag',
    [
        'RescaleSlope',
        'RescaleIntercept',
        'ImagePositionPatient',
        'ImageOrientationPatient',
        'PixelSpacing',
    ],
)
def test_missing_tags(tmp_path, tag):
    fails(write_slice(tmp_path / 'a.dcm', HU[0], **{tag: None}), tag, 'missing')


@pytest.mark.parametrize(
    'changes, part',
    [
        (dict(RescaleSlope=0), 'RescaleSlope is 0'),
        (dict(ImageOrientationPatient=[0, 1, 0, 0, 0, -1]), 'no axial slice'),
        (dict(ImageOrientationPatient=[1, 0, 0, 1, 0, 0]), 'orthogonal'),
        (dict(PixelSpacing=[0, 1]), 'PixelSpacing'),
        (dict(NumberOfFrames=2), '2 frames'),
    ],
)
def test_odd_tags(tmp_path, changes, part):
    fails(write_slice(tmp_path / 'a.dcm', HU[0], **changes), part)


def test_colour_secondary_capture(tmp_path):
    path = write_slice(
        tmp_path / 'a.dcm',
        HU[0],
        SOPClassUID='1.2.840.10008.5.1.4.1.1.7',
        SamplesPerPixel=3,
        PhotometricInterpretation='RGB',
        PlanarConfiguration=0,
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        Modality='OT',
        PixelData=bytes(32 * 32 * 3),
    )
    fails(path, 'colour picture')


def test_bomb_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    path = write_slice(tmp_path / 'a.dcm', HU[0])
    dataset = pydicom.dcmread(path)
    dataset.Rows = dataset.Columns = 65535
    dataset.save_as(path)
    monkeypatch.setattr('mmcovid.ct.dicom._read_pixels', None)  # must not be reached
    fails(path, '65535 x 65535', 'Nothing was decoded')


def test_series_beyond_the_budget(tmp_path, monkeypatch):
    folder = write_series(tmp_path, chest(3, 512))
    monkeypatch.setenv('MMCOVID_MAX_MIB', '1')
    fails(folder, '3 slice(s) of 512 x 512', '2 MiB, above the limit of 1', '--max-mib')
    monkeypatch.setenv('MMCOVID_MAX_MIB', '2')
    assert len(read_volume(folder)) == 3


def test_folders_without_slices(tmp_path):
    fails(tmp_path, 'holds no DICOM file')
    fails(tmp_path / 'absent', 'no such file')


def test_several_series_are_listed_and_chosen(tmp_path):
    write_series(tmp_path, HU)
    write_series(tmp_path, HU[:2] + 7, names=['x.dcm', 'y.dcm'], uid='1.2.77')
    fails(tmp_path, '2 series', '1.2.77 (CT, 2 files', f'{SERIES} (CT, 5 files')
    assert [(each.uid, len(each.files)) for each in list_series(tmp_path)] == [
        ('1.2.77', 2),
        (SERIES, 5),
    ]
    for volume in (read_volume(tmp_path, '1.2.77'), read_volume(f'{tmp_path}#1.2.77')):
        np.testing.assert_array_equal(volume.array, HU[:2] + 7)
    with pytest.raises(ValueError, match='no series 1.9'):
        read_volume(tmp_path, '1.9')


def test_mixed_sizes(tmp_path):
    write_series(tmp_path, HU)
    write_slice(tmp_path / 'odd.dcm', HU[0, :16], (-10, -20, 99))
    fails(tmp_path, 'slices of 2 sizes', 'odd.dcm')


@pytest.mark.parametrize(
    'changes',
    [dict(PixelSpacing=[1, 1]), dict(ImageOrientationPatient=[0.8, 0.6, 0, -0.6, 0.8, 0])],
)
def test_mixed_geometry(tmp_path, changes):
    write_series(tmp_path, HU)
    write_slice(tmp_path / 'z_odd.dcm', HU[0], (-10, -20, 5 * STEP), **changes)
    fails(tmp_path, 'another orientation or pixel spacing', 'z_odd.dcm')


def test_two_slices_at_one_position(tmp_path):
    write_series(tmp_path, HU)
    write_slice(tmp_path / 'copy.dcm', HU[1], (-10, -20, STEP))
    fails(tmp_path, 'two slices at one position', 'copy.dcm', '010.dcm')


def test_missing_slice(tmp_path):
    folder = write_series(tmp_path, HU)
    (folder / '017.dcm').unlink()
    fails(folder, '2.50 mm apart', '5.00 mm between', '010.dcm', '024.dcm')


def test_small_differences_of_spacing_are_let_pass(tmp_path):
    for i, plane in enumerate(HU):
        write_slice(tmp_path / f'{i}.dcm', plane, (0, 0, i * STEP + 0.04 * (i % 2)))
    assert read_volume(tmp_path).spacing[2] == pytest.approx(STEP, rel=0.02)


def test_gantry_tilt(tmp_path):
    for i, plane in enumerate(HU):
        write_slice(tmp_path / f'{i}.dcm', plane, (0, i * STEP * np.tan(np.radians(15)), i * STEP))
    fails(tmp_path, 'shifted by up to 2.68 mm', 'gantry tilt')
    # one by one they are slices like others
    assert len(read_volume(tmp_path / '0.dcm')) == 1
