import re

from mmdet.utils import OptMultiConfig
from mmengine.model import BaseModule
from torch import Tensor
from torch.nn.functional import relu

from mmcovid.registry import MODELS

DEPTHS = (121, 169, 201)
# "denselayer1.norm.1.weight" and "denselayer1.norm1.weight" of torchvision's weights
_TORCHVISION_LAYER = re.compile(r'(denselayer\d+\.)(norm|conv)\.?([12]\.)')


@MODELS.register_module()
class MonaiDenseNet(BaseModule):
    """MONAI's DenseNet as a backbone.

    MMDetection has no DenseNet. Its feature map is that of the last block, at
    stride 32. ImageNet weights of torchvision's names load; building
    downloads nothing.

    Args:
        depth (int): 121, 169 or 201. Defaults to 121.
        init_cfg (dict, optional): Initialisation of the weights. Defaults to
            None, MONAI's own.

    Raises:
        ImportError: If MONAI is not installed.
        ValueError: If there is no such depth.
    """

    def __init__(self, depth: int = 121, init_cfg: OptMultiConfig = None) -> None:
        super().__init__(init_cfg)
        if depth not in DEPTHS:
            raise ValueError(f'depth of a MonaiDenseNet must be one of {DEPTHS}, got {depth}')
        try:
            from monai.networks import nets
        except ImportError as error:
            raise ImportError(
                'the DenseNet backbones are those of MONAI, which is not installed; run: '
                'pip install monai'
            ) from error
        net = getattr(nets, f'DenseNet{depth}')(spatial_dims=2, in_channels=3, out_channels=1)
        self.features = net.features
        self.out_channels = net.class_layers.out.in_features

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """Map slices (B, 3, H, W) to one feature map (B, out_channels, H / 32, W / 32)."""
        return (relu(self.features(x)),)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        """Accept the names of torchvision's layers too; see the parent."""
        for key in list(state_dict):
            if key.startswith(prefix):
                state_dict[_TORCHVISION_LAYER.sub(r'\1layers.\2\3', key)] = state_dict.pop(key)
        super()._load_from_state_dict(state_dict, prefix, *args)
