from torch import Tensor, nn

from mmcovid.registry import MODELS

from .base_image_head import BaseImageHead


@MODELS.register_module()
class RegionalFeaturesHead(BaseImageHead):
    """Classification module S of COVID-CT-Mask-Net, on scores and boxes of ranked RoIs.

    All RoIs of a slice, 5 numbers each, make one vector; two linear layers
    with ReLU and a last one follow.

    Args:
        num_rois (int): Number of RoIs of a slice.
        hidden_channels (int): Width of the two layers. Defaults to 1024.
        num_classes (int): Number of image classes. Defaults to 3.
        **kwargs: Arguments of :class:`BaseImageHead`.
    """

    def __init__(
        self, num_rois: int, hidden_channels: int = 1024, num_classes: int = 3, **kwargs
    ) -> None:
        super().__init__(num_classes, **kwargs)
        self.classifier = nn.Sequential(
            nn.Linear(num_rois * 5, hidden_channels),
            nn.ReLU(inplace=True),
            nn.Linear(hidden_channels, hidden_channels),
            nn.ReLU(inplace=True),
            nn.Linear(hidden_channels, num_classes),
        )

    def embed(self, rois: Tensor) -> Tensor:
        """Put the ranked RoIs of each slice (B, num_rois, 5) side by side, (B, num_rois · 5)."""
        return rois.flatten(1)

    def classify(self, vectors: Tensor) -> Tensor:
        """Map image vectors (B, num_rois · 5) to image logits (B, num_classes)."""
        return self.classifier(vectors)
