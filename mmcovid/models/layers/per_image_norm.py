import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmcovid.registry import MODELS


@MODELS.register_module()
class PerImageBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation of each image by its own statistics.

    The released implementation runs every BatchNorm on the statistics of the
    current slice, with a batch of one, in training and in testing. This layer
    does the same for any batch size: one slice never influences another one,
    and a batch of B slices gives what B single slices give. It is a
    BatchNorm with BatchNorm's parameter names, so ImageNet weights load; the
    running statistics are kept for their key names only and are never used.

    Args:
        num_features (int): Number of channels C.
        samples_per_image (int): How many consecutive samples of the batch
            belong to one image and share its statistics: 1 for feature maps,
            β for the Regions of Interest of a slice. Defaults to 1.
        **kwargs: Arguments of :class:`torch.nn.BatchNorm2d`.
    """

    _abbr_ = 'bn'  # keeps the key names of pretrained ResNets

    def __init__(self, num_features: int, samples_per_image: int = 1, **kwargs) -> None:
        super().__init__(num_features, **kwargs)
        self.samples_per_image = samples_per_image

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``x`` of shape (B · samples_per_image, C, H, W)."""
        if self.samples_per_image == 1:
            out = F.instance_norm(x, weight=self.weight, bias=self.bias, eps=self.eps)
            # no view: of one, the gradient of the ReLU in place that follows costs four copies
            return torch.ops.aten._unsafe_view(out, out.shape)
        grouped = x.unflatten(0, (-1, self.samples_per_image)).transpose(1, 2)
        # flat: on a CPU, PyTorch's gradient is wrong for one image of shape (1, C, β, 1, 1)
        out = F.instance_norm(grouped.flatten(2), weight=self.weight, bias=self.bias, eps=self.eps)
        return out.view(grouped.shape).transpose(1, 2).flatten(0, 1)
