import numpy as np
import torch
from mmdet.structures import DetDataSample
from torch import nn

from mmcovid.models.layers import MahalanobisDistance
from mmcovid.statistics import mahalanobis

CHANNELS = 3, 2


def maps(batch=4, seed=0):
    """Feature maps of two levels."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(
        torch.randn(batch, channels, size, size, generator=generator)
        for channels, size in zip(CHANNELS, (6, 3))
    )


def fitted_state(prefix=''):
    """Statistics of a state dict."""
    features = np.random.default_rng(0).normal(size=(30, sum(CHANNELS)))
    mean, whitening = mahalanobis.fit_gaussian(features)
    found = dict(mean=mean, whitening=whitening, threshold=2.5)
    return {f'{prefix}{k}': torch.tensor(v, dtype=torch.float) for k, v in found.items()}


def fitted():
    module = MahalanobisDistance().eval()
    module.load_state_dict(fitted_state())
    return module


def test_distance_is_that_of_the_pooled_features():
    x, state = maps(), fitted_state()
    pooled = torch.cat([feats.flatten(2).mean(2) for feats in x], dim=1)
    expected = mahalanobis.mahalanobis_distance(
        pooled.numpy(), state['mean'].numpy(), state['whitening'].numpy()
    )
    np.testing.assert_allclose(fitted()(x).numpy(), expected, rtol=1e-5)
    assert fitted().pool(x[0]).equal(fitted().pool(x[:1]))


def test_samples_get_a_distance_only_if_there_are_statistics():
    samples, x = [DetDataSample() for _ in range(4)], maps()
    MahalanobisDistance().add_to(samples, x)
    assert not any('feature_distance' in sample for sample in samples)
    fitted().add_to(samples, x)
    assert torch.stack([sample.feature_distance for sample in samples]).equal(fitted()(x))


def test_statistics_come_and_go_with_a_state_dict():
    model = nn.ModuleDict(dict(distance=MahalanobisDistance())).eval()
    assert not model.state_dict()  # checkpoints of a training are as before
    state = fitted_state('distance.')
    model.load_state_dict(state)
    assert model.distance.is_fitted
    assert all(model.state_dict()[name].equal(value) for name, value in state.items())
    model.load_state_dict({})
    assert not model.distance.is_fitted


def test_a_training_forgets_them():
    module = fitted()
    assert module.eval().is_fitted
    module.train()
    assert not module.eval().is_fitted and not module.state_dict()
