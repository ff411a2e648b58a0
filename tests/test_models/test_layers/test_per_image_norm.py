import pytest
import torch
from mmcv.cnn import build_norm_layer
from torch import nn

from mmcovid.models.layers import PerImageBatchNorm2d


def _random_affine(norm):
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return norm


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('group', [1, 4])
def test_equals_batch_norm_of_each_image(group, training):
    torch.manual_seed(0)
    norm = _random_affine(PerImageBatchNorm2d(3, samples_per_image=group)).train(training)
    reference = nn.BatchNorm2d(3, track_running_stats=False).train()
    reference.load_state_dict(
        {k: v for k, v in norm.state_dict().items() if 'running' not in k and 'tracked' not in k}
    )
    x = torch.randn(2 * group, 3, 5, 7) * 3 + 1
    expected = torch.cat([reference(part) for part in x.split(group)])
    torch.testing.assert_close(norm(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('num_images', [1, 2])
@pytest.mark.parametrize('group', [1, 16])
@pytest.mark.parametrize('size', [(1, 1), (3, 2)])
def test_gradient_equals_that_of_the_formula(num_images, group, size):
    if group == 1 and size == (1, 1):
        pytest.skip('one value has no statistics')
    torch.manual_seed(0)
    norm = _random_affine(PerImageBatchNorm2d(6, samples_per_image=group))
    x = torch.randn(num_images * group, 6, *size, requires_grad=True)
    weights = torch.randn_like(x)
    (grad,) = torch.autograd.grad((norm(x) * weights).sum(), x)

    images = x.unflatten(0, (num_images, group))
    dims = dict(dim=(1, 3, 4), keepdim=True)
    expected = (images - images.mean(**dims)) / (
        images.var(**dims, unbiased=False) + norm.eps
    ).sqrt()
    affine = (norm.weight.view(-1, 1, 1), norm.bias.view(-1, 1, 1))
    expected = (expected * affine[0] + affine[1]).flatten(0, 1)
    (expected,) = torch.autograd.grad((expected * weights).sum(), x)
    torch.testing.assert_close(grad, expected, rtol=1e-4, atol=1e-5)


def test_group_of_vectors_has_its_own_statistics():
    norm = PerImageBatchNorm2d(6, samples_per_image=8)
    y = norm(torch.randn(16, 6, 1, 1)).view(2, 8, 6)
    torch.testing.assert_close(y.mean(dim=1), torch.zeros(2, 6), atol=1e-5, rtol=0)


def test_running_statistics_are_never_used_nor_changed():
    norm = PerImageBatchNorm2d(3)
    before = {k: v.clone() for k, v in norm.state_dict().items()}
    norm(torch.randn(2, 3, 4, 4))
    for key, value in norm.state_dict().items():
        assert torch.equal(value, before[key])


def test_built_by_mmcv_under_the_name_of_batch_norm():
    name, norm = build_norm_layer(
        dict(type='mmcovid.PerImageBatchNorm2d', requires_grad=False), 4, postfix=1
    )
    assert name == 'bn1'
    assert set(norm.state_dict()) == set(nn.BatchNorm2d(4).state_dict())
    assert not norm.weight.requires_grad
