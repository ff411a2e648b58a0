import struct
import zlib
from contextlib import nullcontext

import cv2
import numpy as np
import pytest
import SimpleITK as sitk
from ct_utils import chest, write_series, write_slice
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from mmdet.registry import TRANSFORMS
from PIL import Image

from mmcovid.ct import apply_window
from mmcovid.datasets.transforms import LoadCTSlice, LoadImageFromFile, ToThreeChannels

dtypes = st.sampled_from(['uint8', 'uint16', 'int16', 'int32', 'float32', 'float64'])
sides = st.integers(1, 6)


def convert(img, **keys):
    return ToThreeChannels()(dict(img=img, **keys))['img']


@given(st.data(), dtypes, sides, sides, st.sampled_from([(), (1,), (3,), (4,)]))
def test_any_slice_becomes_three_equal_channels(data, dtype, height, width, channels):
    values = st.integers(0, 200) if dtype == 'uint8' else st.integers(0, 30000)
    grey = data.draw(hnp.arrays(dtype, (height, width), elements=values))
    img = np.broadcast_to(grey[(...,) + (None,) * len(channels)], (height, width, *channels))
    out = convert(img)
    assert out.shape == (height, width, 3) and out.dtype == np.float32
    assert (out == out[..., :1]).all()
    np.testing.assert_allclose(out[..., 0], grey, rtol=1e-6)


def test_negative_hounsfield_units_stay():
    hu = np.array([[-1000, 40]], dtype=np.int16)
    assert convert(hu)[..., 0].tolist() == [[-1000, 40]]


def test_colour_and_alpha():
    blue = np.zeros((2, 2, 4), np.uint8)
    blue[..., 0], blue[..., 3] = 200, 77
    expected = cv2.cvtColor(blue[..., :3].copy(), cv2.COLOR_BGR2GRAY)
    assert convert(blue)[..., 0].tolist() == expected.tolist()


@pytest.mark.parametrize('shape', [(0, 5), (5, 0, 3), (5,), (5, 5, 2), (1, 5, 5, 3)])
def test_wrong_shapes_name_the_file(shape):
    with pytest.raises(ValueError, match=r'a\.png: a slice must be'):
        convert(np.zeros(shape), img_path='a.png')


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_values_that_are_not_finite(value):
    with pytest.raises(ValueError, match='the array given: has values'):
        convert(np.full((2, 2), value), img_path=None)


def test_sixteen_bit_file(tmp_path):
    img = np.array([[0, 65535], [1, 40000]], np.uint16)
    path = str(tmp_path / 'a.png')
    cv2.imwrite(path, img)
    results = LoadImageFromFile(color_type='unchanged')(dict(img_path=path))
    assert ToThreeChannels()(results)['img'][..., 2].tolist() == img.tolist()


@pytest.mark.parametrize('keep', [0, 60, 0.5])
@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
def test_broken_file_is_named(tmp_path, suffix, keep):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    content = cv2.imencode(suffix, noise)[1].tobytes()
    path = tmp_path / f'a{suffix}'
    path.write_bytes(content[: int(keep * len(content)) if keep == 0.5 else keep])
    load = TRANSFORMS.build(dict(type='mmcovid.LoadImageFromFile', color_type='unchanged'))
    with pytest.raises(ValueError, match=f'a{suffix}: empty, truncated or not an image'):
        load(dict(img_path=str(path)))


@pytest.mark.parametrize('name', ['LoadImageFromFile', 'LoadCTSlice'])
def test_dicom_slice_is_what_a_picture_of_it_would_be(tmp_path, name):
    hu = chest()[2]
    path = str(write_slice(tmp_path / 'a.dcm', hu))
    cv2.imwrite(str(tmp_path / 'a.png'), apply_window(hu))
    load = TRANSFORMS.build(dict(type=f'mmcovid.{name}', color_type='unchanged'))
    results = load(dict(img_path=path))
    picture = load(dict(img_path=str(tmp_path / 'a.png')))
    assert (results['img'] == picture['img']).all() and results['img'].dtype == np.uint8
    assert results['ori_shape'] == results['img_shape'] == picture['img_shape']
    assert results['window'] == (-600, 1500) and 'window' not in picture
    assert results['spacing'] == (0.6, 0.7, 2.5) and results['slice_index'] == 0


def test_slice_of_a_volume_in_another_window_and_as_colour(tmp_path):
    hu = chest()
    sitk.WriteImage(sitk.GetImageFromArray(hu), str(tmp_path / 'scan.nrrd'))
    load = LoadCTSlice(window=dict(level=40, width=400), to_float32=True)
    for path in (tmp_path / 'scan.nrrd', write_series(tmp_path / 'series', hu)):
        results = load(dict(img_path=f'{path}#003'))
        assert results['img'].shape == (32, 32, 3) and results['img'].dtype == np.float32
        assert (results['img'] == apply_window(hu[3], 40, 400)[..., None]).all()
        assert results['window'] == (40, 400) and results['slice_index'] == 3
    with pytest.raises(ValueError, match='has 5 slices'):
        load(dict(img_path=str(tmp_path / 'scan.nrrd')))


def test_slices_of_another_size_than_their_masks(tmp_path):
    path = write_slice(tmp_path / 'a.dcm', chest(1)[0])
    load = LoadImageFromFile()
    assert load(dict(img_path=str(path), height=32, width=32))['img'].shape[:2] == (32, 32)
    with pytest.raises(ValueError, match=r'a.dcm: is of shape \(32, 32\), its masks of \(32, 64\)'):
        load(dict(img_path=str(path), height=32, width=64))


@pytest.mark.parametrize('name', ['a.tif', 'a.tiff', 'a.png'])
def test_sixteen_bits_of_any_format(tmp_path, name):
    img = np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000
    cv2.imwrite(str(tmp_path / name), img)
    loaded = LoadImageFromFile(color_type='unchanged')(dict(img_path=str(tmp_path / name)))['img']
    assert loaded.dtype == np.uint16 and (loaded == img).all()


def test_pictures_of_several_pages(tmp_path):
    page = Image.fromarray(np.zeros((8, 8), np.uint8))
    page.save(tmp_path / 'a.tif', save_all=True, append_images=[page, page])
    with pytest.raises(ValueError, match='a.tif: holds 3 pictures'):
        LoadImageFromFile()(dict(img_path=str(tmp_path / 'a.tif')))


@pytest.mark.parametrize('size', [10_000, 20_000, 100_000])
def test_picture_bombs_are_refused_before_they_are_decoded(tmp_path, monkeypatch, size):
    path = tmp_path / 'a.png'
    cv2.imwrite(str(path), np.zeros((8, 8), np.uint8))
    content = bytearray(path.read_bytes())
    content[16:24] = size.to_bytes(4, 'big') * 2  # width and height of the PNG header
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, 'big')
    path.write_bytes(content)
    monkeypatch.setattr('mmcv.imfrombytes', None)  # must not be reached
    with (
        pytest.raises(ValueError, match=r'a\.png: .*Nothing was decoded'),
        pytest.warns() if size == 10_000 else nullcontext(),
    ):
        LoadImageFromFile()(dict(img_path=str(path)))


def refuse(path, message):
    with pytest.raises(ValueError, match=rf'{path.name}: {message}'):
        LoadImageFromFile()(dict(img_path=str(path)))


def test_pictures_whose_header_pillow_cannot_read(tmp_path):
    """OpenCV may read them, and be sent to any size."""
    path = tmp_path / 'a.png'
    cv2.imwrite(str(path), np.zeros((8, 8), np.uint8))
    content = path.read_bytes()
    text = b'zTXt' + b'a\0\0' + zlib.compress(bytes(2**22))
    chunk = (len(text) - 4).to_bytes(4, 'big') + text + zlib.crc32(text).to_bytes(4, 'big')
    path.write_bytes(content[:33] + chunk + content[33:])
    assert cv2.imread(str(path)) is not None
    refuse(path, 'empty, truncated or not an image')


def test_files_of_more_bytes_than_a_slice_has(tmp_path):
    path = tmp_path / 'a.png'
    cv2.imwrite(str(path), np.zeros((8, 8), np.uint8))
    with open(path, 'ab') as file:
        file.truncate(2**30)  # takes no room on the disk
    refuse(path, 'the file is above the limit of 128 MiB')


def test_jpeg_that_would_be_decoded_again_and_again(tmp_path):
    path = tmp_path / 'a.jpg'
    Image.new('L', (64, 64)).save(path, progressive=True)
    LoadImageFromFile()(dict(img_path=str(path)))
    content = path.read_bytes()
    last = content.rindex(b'\xff\xda')
    path.write_bytes(content[:last] + content[last:-2] * 200 + b'\xff\xd9')
    refuse(path, 'is a JPEG of 20. scans')


def test_tiles_that_are_larger_than_the_picture(tmp_path):
    size, bits, black_is_zero, one_sample = {256: 16, 257: 16}, {258: 8}, {262: 1}, {277: 1}
    tile = {322: 2**15, 323: 2**15, 324: 8, 325: 256}  # width, length, place and bytes
    tags = {**size, **bits, 259: 1, **black_is_zero, **one_sample, **tile}
    listed = b''.join(struct.pack('<HHII', tag, 4, 1, value) for tag, value in tags.items())
    head = b'II*\0' + struct.pack('<I', 8 + 256)
    path = tmp_path / 'a.tif'
    path.write_bytes(head + bytes(256) + struct.pack('<H', len(tags)) + listed + bytes(4))
    refuse(path, '1 slice.s. of 32768 x 32768')


def test_missing_files_are_named(tmp_path):
    for name in ('a.png', 'a.dcm', 'a.nrrd', 'a.nrrd#001'):
        with pytest.raises(FileNotFoundError, match=r'a\.'):
            LoadImageFromFile()(dict(img_path=str(tmp_path / name)))
