from torch import Tensor, nn

from mmcovid.models.layers import LSTMAttention
from mmcovid.registry import MODELS

from .base_attention_head import BaseAttentionHead


@MODELS.register_module()
class LSTMAttentionHead(BaseAttentionHead):
    """LSTM-1 and LSTM-2: an LSTM reads the RoIs, attention weighs its history (Eq. 9–17).

    Args:
        num_rois (int): Number of RoIs β of a slice.
        in_channels (int): Number of channels C of a RoI. Defaults to 256.
        num_branches (int): 1 for LSTM-1; 2 for LSTM-2, with a branch for
            class-relevant and one for class-irrelevant RoIs. Defaults to 2.
        lstm_channels (int): Number of LSTM features C*. Defaults to 256.
        context_filter (bool): Whether the linear layer of Eq. 16 is there;
            the released implementation leaves it out. Defaults to True.
        **kwargs: Arguments of :class:`BaseAttentionHead`.
    """

    def __init__(
        self,
        num_rois: int,
        in_channels: int = 256,
        num_branches: int = 2,
        lstm_channels: int = 256,
        context_filter: bool = True,
        **kwargs,
    ) -> None:
        super().__init__(
            num_rois,
            in_channels,
            pooled_channels=lstm_channels,
            num_branches=num_branches,
            **kwargs,
        )
        self.branches = nn.ModuleList(
            LSTMAttention(in_channels, lstm_channels, context_filter) for _ in range(num_branches)
        )

    def pool(self, x: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Pool X (B, β, C) into p (B, C*) of each branch, with weights (B, β)."""
        return [branch(x) for branch in self.branches]
