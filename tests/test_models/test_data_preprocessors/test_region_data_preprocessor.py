import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample

from mmcovid.ct import find_lungs
from mmcovid.data_tools.phantom.patients import draw_patient, render_slice
from mmcovid.models import RegionDataPreprocessor
from mmcovid.models.data_preprocessors import standardize
from mmcovid.models.data_preprocessors.region_data_preprocessor import blur_within


def batch(*images):
    return dict(
        inputs=[torch.from_numpy(image).expand(3, -1, -1) for image in images],
        data_samples=[
            DetDataSample(metainfo=dict(img_path=f'{i}.png')) for i in range(len(images))
        ],
    )


def test_regions_make_up_the_slice():
    image, _ = render_slice(draw_patient(5, 1, 1), 0.5, size=100)
    lungs = torch.from_numpy(find_lungs(image))
    parts = {}
    for region in ('lungs', 'outside lungs'):
        preprocessor = RegionDataPreprocessor(region, pad_size_divisor=32)
        parts[region] = preprocessor(batch(image, image[:, ::-1].copy()))['inputs']
        assert preprocessor.without_lungs == []
        assert parts[region].shape == (2, 3, 128, 128)
    assert (parts['lungs'][0, :, :100, :100][:, ~lungs] == 0).all()
    assert (parts['outside lungs'][0, :, :100, :100][:, lungs] == 0).all()
    whole = sum(parts.values())  # standardised as without blanking
    for part, each in zip(whole, (image, image[:, ::-1].copy())):
        expected = standardize(torch.from_numpy(each).expand(3, -1, -1))
        torch.testing.assert_close(part[:, :100, :100], expected)
        assert (part[:, 100:] == 0).all()


def test_the_rest_is_blurred_by_itself():
    image, _ = render_slice(draw_patient(5, 1, 1), 0.5, size=100)
    lungs = torch.from_numpy(find_lungs(image))
    whole = standardize(torch.from_numpy(image).expand(3, -1, -1))[0]
    shown = RegionDataPreprocessor('lungs', fill='blur')(batch(image))['inputs'][0, 0, :100, :100]
    assert torch.equal(shown[lungs], whole[lungs])
    assert shown[~lungs].std() < 0.9 * whole[~lungs].std()
    torch.testing.assert_close(shown[~lungs].mean(), whole[~lungs].mean(), atol=0.05, rtol=0)
    # what lies in the lungs leaks into nothing around them
    black = np.where(lungs.numpy(), 0, image).astype(np.float32)
    torch.testing.assert_close(
        torch.from_numpy(blur_within(black, ~lungs.numpy()))[~lungs],
        torch.from_numpy(blur_within(image.astype(np.float32), ~lungs.numpy()))[~lungs],
    )


def test_slices_without_lungs_are_told():
    image = np.pad(np.full((20, 20), 200, np.uint8), 6)
    for region, left in (('lungs', False), ('outside lungs', True)):
        preprocessor = RegionDataPreprocessor(region, pad_size_divisor=32)
        assert bool(preprocessor(batch(image))['inputs'].any()) == left
        assert preprocessor.without_lungs == ['0.png']


def test_other_regions_and_fills():
    with pytest.raises(ValueError, match="not 'heart'"):
        RegionDataPreprocessor('heart')
    with pytest.raises(ValueError, match="not 'noise'"):
        RegionDataPreprocessor('lungs', fill='noise')
