import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from mmdet.registry import TRANSFORMS

from mmcovid.datasets.transforms import LoadImageFromFile, ToThreeChannels

dtypes = st.sampled_from(['uint8', 'uint16', 'int16', 'int32', 'float32', 'float64'])
sides = st.integers(1, 6)


def convert(img, **keys):
    return ToThreeChannels()(dict(img=img, **keys))['img']


@given(st.data(), dtypes, sides, sides, st.sampled_from([(), (1, ), (3, ), (4, )]))
def test_any_slice_becomes_three_equal_channels(data, dtype, height, width, channels):
    values = st.integers(0, 200) if dtype == 'uint8' else st.integers(0, 30000)
    grey = data.draw(hnp.arrays(dtype, (height, width), elements=values))
    img = np.broadcast_to(grey[(..., ) + (None, ) * len(channels)], (height, width, *channels))
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


@pytest.mark.parametrize('shape', [(0, 5), (5, 0, 3), (5, ), (5, 5, 2), (1, 5, 5, 3)])
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
    path.write_bytes(content[:int(keep * len(content)) if keep == 0.5 else keep])
    load = TRANSFORMS.build(dict(type='mmcovid.LoadImageFromFile', color_type='unchanged'))
    with pytest.raises(ValueError, match=f'a{suffix}: empty, truncated or not an image'):
        load(dict(img_path=str(path)))
