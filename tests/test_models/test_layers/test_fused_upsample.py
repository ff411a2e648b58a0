import pytest
import torch
from torch import nn

from mmcovid.models.layers import upsample_conv


@pytest.mark.parametrize('shape', [(2, 5, 14, 14), (1, 5, 3, 4), (3, 5, 1, 1)])
def test_equals_both_layers_in_a_row(shape):
    torch.manual_seed(0)
    deconv = nn.ConvTranspose2d(5, 6, 2, stride=2).requires_grad_(False)
    conv = nn.Conv2d(6, 7, 3, padding=1).requires_grad_(False)
    x = torch.randn(shape, requires_grad=True)
    out, expected = upsample_conv(x, deconv, conv), conv(deconv(x))
    torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-5)

    weights = torch.randn_like(out)
    (grad,) = torch.autograd.grad((out * weights).sum(), x)
    (expected,) = torch.autograd.grad((expected * weights).sum(), x)
    torch.testing.assert_close(grad, expected, rtol=1e-4, atol=1e-5)
