import pytest
import torch
from mmdet.structures import DetDataSample

from mmcovid.models import SliceDataPreprocessor
from mmcovid.models.data_preprocessors import standardize


@pytest.mark.parametrize('dtype', [torch.uint8, torch.int32, torch.float32])
def test_standardize(dtype):
    img = (torch.rand(3, 8, 9) * 200).to(dtype)
    out = standardize(img)
    torch.testing.assert_close(out.mean((1, 2)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.std((1, 2), unbiased=True), torch.ones(3))


def test_window_and_bit_depth_do_not_matter():
    img = torch.rand(3, 16, 16) * 255
    torch.testing.assert_close(standardize(img), standardize(img * 257 + 1000), atol=1e-4, rtol=0)


def test_constant_slice_is_zero_and_finite():
    assert (standardize(torch.full((3, 4, 4), 7)) == 0).all()


def test_slices_are_standardised_before_they_are_padded():
    preprocessor = SliceDataPreprocessor(pad_size_divisor=32)
    img = torch.rand(3, 20, 40)
    data = preprocessor(dict(inputs=[img], data_samples=[DetDataSample()]))
    assert data['inputs'].shape == (1, 3, 32, 64)
    torch.testing.assert_close(data['inputs'][0, :, :20, :40], standardize(img))
    assert (data['inputs'][0, :, 20:] == 0).all()
    assert data['data_samples'][0].batch_input_shape == (32, 64)


def test_slices_of_different_shapes_are_refused_by_name():
    preprocessor = SliceDataPreprocessor(pad_size_divisor=32)
    samples = [DetDataSample(metainfo=dict(img_path=f'{name}.png')) for name in 'ab']
    slices = dict(inputs=[torch.rand(3, 20, 30), torch.rand(3, 32, 40)], data_samples=samples)
    with pytest.raises(ValueError, match=r'a\.png 20×30, b\.png 32×40: .*Resize'):
        preprocessor(slices)
    with pytest.raises(ValueError, match='a slice 20×30'):
        preprocessor(dict(inputs=slices['inputs']))
