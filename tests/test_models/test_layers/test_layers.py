import pytest
import torch
from torch import nn

from mmcovid.models.layers import (
    ConvWithBackground,
    LinearWithBackground,
    LSTMAttention,
    RoIAttention,
    RoIRefinement,
    RoIVectorization,
    attention_pool,
)

NORM = dict(type='mmcovid.PerImageBatchNorm2d')


def test_attention_pool_is_a_weighted_mean():
    features, query = torch.randn(2, 5, 4), torch.randn(2, 4)
    pooled, weights = attention_pool(features, query)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(2))
    for i in range(2):
        expected = torch.softmax(features[i] @ query[i], dim=0)
        torch.testing.assert_close(weights[i], expected)
        torch.testing.assert_close(pooled[i], features[i].T @ expected)


def test_roi_attention_follows_equations_1_to_8():
    layer, x = RoIAttention(5, 4), torch.randn(1, 5, 4)
    o, weights = layer(x)
    z = layer.query(x.reshape(1, 20))[0]
    a = torch.softmax(x[0] @ z, dim=0)
    torch.testing.assert_close(weights[0], a)
    torch.testing.assert_close(o[0], layer.context_filter(x[0].T @ a) + z)


@pytest.mark.parametrize('context_filter', [True, False])
def test_lstm_attention_follows_equations_9_to_17(context_filter):
    layer, x = LSTMAttention(4, 3, context_filter), torch.randn(2, 5, 4)
    p, weights = layer(x)
    history, (h, _) = layer.lstm(x)
    for i in range(2):
        torch.testing.assert_close(history[i, -1], h[0, i])  # h_β is the last of the history
        v = layer.query(h[0, i])
        b = torch.softmax(history[i] @ v, dim=0)
        d = history[i].T @ b
        torch.testing.assert_close(weights[i], b)
        torch.testing.assert_close(p[i], layer.context_filter(d) + v)
    assert isinstance(layer.context_filter, nn.Linear) == context_filter


def test_refinement_keeps_and_vectorization_drops_the_map():
    x = torch.randn(6, 8, 28, 28)
    refined = RoIRefinement(8, NORM)(x)
    assert refined.shape == x.shape
    assert RoIVectorization(8, 28, dict(NORM, samples_per_image=3))(refined).shape == (6, 8)
    with pytest.raises(ValueError, match='multiple of 4'):
        RoIVectorization(8, 30, NORM)


def test_background_outputs_are_there_and_unused():
    linear, conv = LinearWithBackground(5, 12), ConvWithBackground(5, 3, 1)
    assert linear.weight.shape == (16, 5)
    assert conv.weight.shape == (4, 5, 1, 1)
    assert linear(torch.randn(2, 5)).shape == (2, 12)
    assert conv(torch.randn(2, 5, 4, 4)).shape == (2, 3, 4, 4)
    linear(torch.randn(2, 5)).sum().backward()
    assert linear.weight.grad[12:].abs().sum() == 0
