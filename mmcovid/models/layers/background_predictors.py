"""Predictors that carry outputs for the background class, as the paper's do.

MMDetection has no box deltas and no mask logits for the background class; the
network of the paper has them, though nothing ever reads them. Keeping them makes the
number of parameters the published one and lets a checkpoint of the author's
be converted there and back without losing a tensor. They stand last, where
MMDetection has its background class.
"""

from torch import Tensor, nn
from torch.nn.functional import linear

from mmcovid.registry import MODELS


@MODELS.register_module()
class LinearWithBackground(nn.Linear):
    """Linear box predictor with four more outputs, for the background class.

    Args:
        in_features (int): Number of input features.
        out_features (int): Number of outputs that are used.
        num_background (int): Number of outputs of the background class.
            Defaults to 4, one box.
    """

    def __init__(self, in_features: int, out_features: int, num_background: int = 4) -> None:
        super().__init__(in_features, out_features + num_background)
        self.num_used = out_features

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, in_features) to (n, out_features)."""
        return linear(x, self.weight[: self.num_used], self.bias[: self.num_used])


@MODELS.register_module()
class ConvWithBackground(nn.Conv2d):
    """Convolutional mask predictor with one more output, for the background.

    Args:
        in_channels (int): Number of input channels.
        out_channels (int): Number of output channels that are used.
        *args, **kwargs: Further arguments of :class:`torch.nn.Conv2d`.
    """

    def __init__(self, in_channels: int, out_channels: int, *args, **kwargs) -> None:
        super().__init__(in_channels, out_channels + 1, *args, **kwargs)
        self.num_used = out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, in_channels, H, W) to (n, out_channels, H, W)."""
        return self._conv_forward(x, self.weight[: self.num_used], self.bias[: self.num_used])
