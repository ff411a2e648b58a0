import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample

from mmcovid.ct import find_lungs
from mmcovid.data_tools.phantom.patients import draw_patient, render_slice
from mmcovid.models import RegionDataPreprocessor
from mmcovid.models.data_preprocessors import standardize


def batch(*images):
    return dict(
        inputs=[torch.from_numpy(image).expand(3, -1, -1) for image in images],
        data_samples=[DetDataSample(metainfo=dict(img_path=f'{i}.png'))
                      for i in range(len(images))])


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


def test_slices_without_lungs_are_told():
    image = np.pad(np.full((20, 20), 200, np.uint8), 6)
    for region, left in (('lungs', False), ('outside lungs', True)):
        preprocessor = RegionDataPreprocessor(region, pad_size_divisor=32)
        assert bool(preprocessor(batch(image))['inputs'].any()) == left
        assert preprocessor.without_lungs == ['0.png']


def test_other_regions():
    with pytest.raises(ValueError, match='not \'heart\''):
        RegionDataPreprocessor('heart')
