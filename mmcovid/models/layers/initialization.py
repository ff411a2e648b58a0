"""Initial weights of the release where neither PyTorch's nor MMEngine's are the same."""

import torch
from torch import nn


@torch.no_grad()
def set_biases(module: nn.Module, value: float = 0.01) -> None:
    """Fill all biases of a module, of BatchNorms and LSTMs too, with one value."""
    for name, parameter in module.named_parameters():
        if name.rpartition('.')[2].startswith('bias'):
            parameter.fill_(value)


def kaiming_weights(module: nn.Module) -> None:
    """Kaiming normal weights, fan-out, for all convolutions of a module, with PyTorch's biases."""
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            layer.reset_parameters()
            nn.init.kaiming_normal_(layer.weight, mode='fan_out', nonlinearity='relu')
