import gzip
import re

import numpy as np
import pytest
import SimpleITK as sitk
from ct_utils import chest

from mmcovid.ct import read_volume

HU = chest()
SUFFIXES = ['.nii', '.nii.gz', '.nrrd', '.nhdr', '.mha', '.mhd']


def write(path, array=HU, compress=False, **options):
    image = sitk.GetImageFromArray(array, **options)
    image.SetSpacing([0.6, 0.7, 2.5, 1.0][: image.GetDimension()])
    sitk.WriteImage(image, str(path), useCompression=compress)
    return path


def fails(path, *parts):
    """Reading must fail with a message that names the path and has these parts."""
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        read_volume(path)
    message = str(caught.value)
    assert str(path) in message
    for part in parts:
        assert part in message, message


@pytest.mark.parametrize('suffix', SUFFIXES)
@pytest.mark.parametrize('compress', [False, True])
def test_formats(tmp_path, suffix, compress):
    volume = read_volume(write(tmp_path / f'scan{suffix}', compress=compress))
    if suffix.startswith('.nii'):  # written without an orientation, NIfTI's own is the other way
        assert volume.array.shape == HU.shape
    np.testing.assert_array_equal(volume.array, HU)
    assert volume.spacing == pytest.approx((0.6, 0.7, 2.5))


def test_one_slice_of_two_axes(tmp_path):
    volume = read_volume(write(tmp_path / 'slice.nrrd', HU[0]))
    np.testing.assert_array_equal(volume.array, HU[:1])


@pytest.mark.parametrize('suffix', ['.nii', '.nii.gz', '.nrrd', '.mha'])
@pytest.mark.parametrize('compress', [False, True])
@pytest.mark.parametrize('share', [0, 0.02, 0.5, 0.98])
def test_truncated(tmp_path, suffix, compress, share):
    path = write(tmp_path / f'scan{suffix}', compress=compress)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    fails(path, 'again')


@pytest.mark.parametrize('half_of_it', [True, False])
def test_compressed_metaimage_that_itk_would_fill_up(tmp_path, half_of_it):
    path = write(tmp_path / 'a.mha', compress=True)
    content = re.sub(rb'CompressedDataSize = \d+\n', b'', path.read_bytes())
    start = content.index(b'LOCAL\n') + 6
    middle = (start + len(content)) // 2
    path.write_bytes(content[:middle] + (b'' if half_of_it else bytes(len(content) - middle)))
    assert sitk.ReadImage(str(path)).GetSize() == (32, 32, 5)  # once it does not, drop our check
    fails(path, 'voxels end early')


@pytest.mark.parametrize('suffix', ['.nhdr', '.mhd'])
@pytest.mark.parametrize('compress', [False, True])
def test_truncated_beside_a_header(tmp_path, suffix, compress):
    path = write(tmp_path / f'scan{suffix}', compress=compress)
    (data,) = (each for each in tmp_path.iterdir() if each != path)
    content = data.read_bytes()
    data.write_bytes(content[: len(content) // 2])
    fails(path, 'again')


@pytest.mark.parametrize('suffix', ['.nii', '.nii.gz', '.nrrd', '.mha'])
def test_something_else_of_that_name(tmp_path, suffix):
    path = tmp_path / f'scan{suffix}'
    path.write_bytes(b'no volume at all' * 50)
    fails(path, 'again')
    fails(tmp_path / f'absent{suffix}', 'no such file')


def test_volume_under_the_name_of_another_format(tmp_path):
    write(tmp_path / 'scan.nrrd').rename(tmp_path / 'scan.mha')
    fails(tmp_path / 'scan.mha', 'cannot be read')


def test_four_axes(tmp_path):
    fails(write(tmp_path / 'a.nii', np.stack([HU, HU]), isVector=False), '4 axes (32 x 32 x 5 x 2)')
    one = read_volume(write(tmp_path / 'b.nii', HU[None], isVector=False))
    np.testing.assert_array_equal(one.array, HU)


def test_colours(tmp_path):
    path = write(tmp_path / 'a.nrrd', np.zeros((2, 4, 4, 3), np.uint8), isVector=True)
    fails(path, '3 values a voxel')


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_values_that_are_not_finite(tmp_path, value):
    array = HU.astype(np.float32)
    array[0, 0, :3] = value
    fails(write(tmp_path / 'a.nii', array), 'not finite')
    fails(write(tmp_path / 'a.nii.gz', array.astype(float)), 'not finite')
    fails(write(tmp_path / 'a.nrrd', array), '3 values are not finite')


@pytest.mark.parametrize('sizes', ['100000 100000 2', '4096 4096 4096', '99999999 1 99999999'])
def test_bombs_are_refused_before_they_are_decoded(tmp_path, sizes):
    nrrd = write(tmp_path / 'a.nrrd', compress=True)
    nrrd.write_bytes(nrrd.read_bytes().replace(b'sizes: 32 32 5', f'sizes: {sizes}'.encode()))
    fails(nrrd, 'Nothing was decoded')
    mha = write(tmp_path / 'a.mha', compress=True)
    mha.write_bytes(mha.read_bytes().replace(b'DimSize = 32 32 5', f'DimSize = {sizes}'.encode()))
    fails(mha, 'Nothing was decoded')


def test_nifti_bomb(tmp_path):
    path = write(tmp_path / 'a.nii')
    content = bytearray(path.read_bytes())
    content[42:48] = np.array([30000, 30000, 30000], '<i2').tobytes()
    (tmp_path / 'a.nii.gz').write_bytes(gzip.compress(bytes(content)))
    path.write_bytes(content)
    fails(path, 'Nothing was decoded')
    fails(tmp_path / 'a.nii.gz', 'Nothing was decoded')


def change_nifti(path, **fields):
    """Write numbers into a header of NIfTI-1."""
    content = bytearray(path.read_bytes())
    places = dict(code=('<i2', 70), begin=('<f4', 108), slope=('<f4', 112), intercept=('<f4', 116))
    for name, value in fields.items():
        type_, place = places[name]
        raw = np.array(value, type_).tobytes()
        content[place : place + len(raw)] = raw
    path.write_bytes(content)


def test_rescaled_voxels_are_those_of_itk(tmp_path):
    path = write(tmp_path / 'a.nii')
    for slope, intercept in ((0.5, -3), (2, 100), (0.1, 0)):
        change_nifti(path, slope=slope, intercept=intercept)
        expected = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
        np.testing.assert_allclose(read_volume(path).array, expected, rtol=1e-6)


@pytest.mark.parametrize(
    'dtype', [np.uint8, np.int8, np.uint16, np.int32, np.uint32, np.float32, np.float64, np.int64]
)
def test_types_of_nifti(tmp_path, dtype):
    values = (HU - HU.min()).clip(0, 100).astype(dtype)
    np.testing.assert_array_equal(read_volume(write(tmp_path / 'a.nii', values)).array, values)


@pytest.mark.parametrize(
    'suffix, little, big',
    [
        ('.nrrd', b'endian: little', b'endian: big'),
        ('.mha', b'BinaryDataByteOrderMSB = False', b'BinaryDataByteOrderMSB = True'),
    ],
)
def test_bytes_of_the_other_order(tmp_path, suffix, little, big):
    path = write(tmp_path / f'a{suffix}', HU.byteswap())
    path.write_bytes(path.read_bytes().replace(little, big))
    np.testing.assert_array_equal(read_volume(path).array, HU)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(path))), HU)


def test_voxels_behind_something_else_are_left_to_itk(tmp_path):
    path = write(tmp_path / 'a.nrrd')
    head, voxels = path.read_bytes().split(b'\n\n', 1)
    path.write_bytes(head + b'\nbyte skip: 100\n\n' + bytes(100) + voxels)
    np.testing.assert_array_equal(read_volume(path).array, HU)


def test_compressed_voxels_behind_something_else(tmp_path):
    path = write(tmp_path / 'a.mha', compress=True)
    path.write_bytes(path.read_bytes().replace(b'ElementType', b'HeaderSize = 5\nElementType'))
    fails(path, 'behind something else')


@pytest.mark.parametrize('begin', [2e9, -1, np.nan])
def test_voxels_that_begin_far_behind_the_header(tmp_path, begin):
    path = write(tmp_path / 'a.nii')
    change_nifti(path, begin=begin)
    fails(path, 'said to begin at byte')


def test_voxels_of_nifti_that_are_no_numbers(tmp_path):
    path = write(tmp_path / 'a.nii')
    change_nifti(path, code=32)  # complex
    fails(path, 'type 32')


@pytest.mark.parametrize(
    'line', ['byte skip: -1', 'byteskip: 9999999', 'line skip: 9999999', 'BYTE SKIP: ' + '9' * 40]
)
def test_headers_that_pass_over_what_is_compressed(tmp_path, line):
    path = write(tmp_path / 'a.nrrd', compress=True)
    content = path.read_bytes().replace(b'encoding: gzip', f'encoding: gzip\n{line}'.encode())
    path.write_bytes(content)
    fails(path, 'passed over')


@pytest.mark.parametrize('suffix, comment', [('.nrrd', '# a\n'), ('.mha', 'Comment = a\n')])
def test_headers_that_hide_behind_comments(tmp_path, suffix, comment):
    (tmp_path / 'secret.raw').write_bytes(HU.tobytes())
    (tmp_path / 'data').mkdir()
    path = write(tmp_path / 'data' / f'a{suffix}')
    first, rest = path.read_bytes().split(b'\n', 1)
    path.write_bytes(first + b'\n' + comment.encode() * 30_000 + rest)
    fails(path, 'does not end within')


def test_text_that_ends_early(tmp_path):
    path = write(tmp_path / 'a.mha')
    content = path.read_bytes().replace(b'BinaryData = True', b'BinaryData = False')
    path.write_bytes(content[: content.index(b'LOCAL\n') + 100])
    fails(path, 'fewer numbers than voxels')


OUTSIDE = [
    '',
    '../secret.raw',
    '{folder}/secret.raw',
    'sub/../../secret.raw',
    'absent.raw',
    'LIST\n../secret.raw',
    'secret%03d.raw 1 2 1',
    '..',
]


@pytest.mark.parametrize('name', OUTSIDE)
@pytest.mark.parametrize('suffix', ['.nrrd', '.nhdr', '.mha', '.mhd'])
def test_headers_that_point_elsewhere(tmp_path, suffix, name):
    (tmp_path / 'secret.raw').write_bytes(HU.tobytes())
    folder = tmp_path / 'data'
    folder.mkdir()
    name = name.format(folder=tmp_path)
    detached = '.nhdr' if suffix in ('.nrrd', '.nhdr') else '.mhd'
    text = write(folder / f'a{detached}').read_bytes().decode()
    key = 'data file: ' if detached == '.nhdr' else 'ElementDataFile = '
    text, count = re.subn(f'{key}.*', lambda _: key + name, text)
    assert count == 1
    path = folder / f'b{suffix}'
    path.write_text(text)
    fails(path, 'no single file in the folder of the header')


@pytest.mark.parametrize('line', ['datafile: ../secret.raw', 'DATA FILE: ../secret.raw'])
def test_other_spellings_of_a_data_file(tmp_path, line):
    (tmp_path / 'secret.raw').write_bytes(HU.tobytes())
    (tmp_path / 'data').mkdir()
    path = write(tmp_path / 'data' / 'a.nhdr')
    path.write_text(re.sub('data file: .*', line, path.read_text()))
    fails(path)
