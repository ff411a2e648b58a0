from torch import Tensor, nn

from mmcovid.registry import MODELS

from .base_image_head import BaseImageHead


@MODELS.register_module()
class PooledLinearHead(BaseImageHead):
    """Classify a slice from the mean of its feature map, by one linear layer.

    Args:
        in_channels (int): Number of channels C of the feature map.
        num_classes (int): Number of image classes. Defaults to 3.
        **kwargs: Arguments of :class:`BaseImageHead`.
    """

    def __init__(self, in_channels: int, num_classes: int = 3, **kwargs) -> None:
        super().__init__(num_classes, **kwargs)
        self.fc = nn.Linear(in_channels, num_classes)

    def embed(self, feats: Tensor) -> Tensor:
        """Map feature maps (B, C, h, w) to their means over space (B, C)."""
        return feats.mean(dim=(2, 3))

    def classify(self, vectors: Tensor) -> Tensor:
        """Map image vectors (B, C) to image logits (B, num_classes)."""
        return self.fc(vectors)
