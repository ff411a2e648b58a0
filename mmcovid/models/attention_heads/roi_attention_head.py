from torch import Tensor

from mmcovid.models.layers import RoIAttention
from mmcovid.registry import MODELS

from .base_attention_head import BaseAttentionHead


@MODELS.register_module()
class RoIAttentionHead(BaseAttentionHead):
    """The Attention model: attention over the RoIs themselves (Eq. 1–8).

    Args:
        num_rois (int): Number of RoIs β of a slice.
        in_channels (int): Number of channels C of a RoI. Defaults to 256.
        **kwargs: Arguments of :class:`BaseAttentionHead`.
    """

    def __init__(self, num_rois: int, in_channels: int = 256, **kwargs) -> None:
        super().__init__(num_rois, in_channels, **kwargs)
        self.attention = RoIAttention(num_rois, in_channels)

    def pool(self, x: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Pool X (B, β, C) into o (B, C), with weights (B, β)."""
        return [self.attention(x)]
