"""From the mask features of β RoIs to the matrix X (Sec. III-B of the paper)."""

from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule
from torch import Tensor, nn

from .initialization import set_biases


class RoIRefinement(BaseModule):
    """One refinement stage: RoIs are downsized, then upsized again.

    Conv 2×2/2 C → C/2, BatchNorm, ReLU, transposed conv 2×2/2 C/2 → C.

    Args:
        channels (int): Number of channels C.
        norm_cfg (dict): Config of the normalisation layer.
    """

    def __init__(self, channels: int, norm_cfg: dict) -> None:
        super().__init__()
        self.conv_down = nn.Conv2d(channels, channels // 2, 2, stride=2)
        self.bn = build_norm_layer(norm_cfg, channels // 2)[1]
        self.relu = nn.ReLU(inplace=True)
        self.conv_up = nn.ConvTranspose2d(channels // 2, channels, 2, stride=2)
        set_biases(self)

    def forward(self, x: Tensor) -> Tensor:
        """Refine RoIs; (n, C, H, W) in and out."""
        return self.conv_up(self.relu(self.bn(self.conv_down(x))))


class RoIVectorization(BaseModule):
    """Turn every RoI from a feature map into a vector, C×H×W → C×1×1.

    Two convolutions 2×2/2 and one as large as what is left (7×7 for RoIs of
    28×28), each followed by ReLU and BatchNorm.

    Args:
        channels (int): Number of channels C.
        roi_size (int): Height and width of the RoI feature maps, a multiple
            of 4.
        norm_cfg (dict): Config of the normalisation layer.
    """

    def __init__(self, channels: int, roi_size: int, norm_cfg: dict) -> None:
        super().__init__()
        if roi_size % 4:
            raise ValueError(
                f'roi_size must be a multiple of 4, got {roi_size}: the maps are '
                'halved twice before they become vectors'
            )
        self.conv1 = nn.Conv2d(channels, channels, 2, stride=2)
        self.bn1 = build_norm_layer(norm_cfg, channels)[1]
        self.conv2 = nn.Conv2d(channels, channels, 2, stride=2)
        self.bn2 = build_norm_layer(norm_cfg, channels)[1]
        self.conv3 = nn.Conv2d(channels, channels, roi_size // 4)
        self.bn3 = build_norm_layer(norm_cfg, channels)[1]
        self.relu = nn.ReLU(inplace=True)
        set_biases(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map RoIs (n, C, H, W) to vectors (n, C)."""
        x = self.bn1(self.relu(self.conv1(x)))
        x = self.bn2(self.relu(self.conv2(x)))
        return self.bn3(self.relu(self.conv3(x))).flatten(1)
