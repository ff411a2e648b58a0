from torch import Tensor, nn

from .initialization import set_biases


def attention_pool(features: Tensor, query: Tensor) -> tuple[Tensor, Tensor]:
    """Weigh a sequence of features by their similarity to a query.

    Eq. 3–6 of the paper (X, z → c) and Eq. 12–15 (H, v → d).

    Args:
        features (Tensor): Sequence of features (B, β, C).
        query (Tensor): Query vector (B, C).

    Returns:
        tuple[Tensor, Tensor]: The weighted sum of the features, (B, C), and
        the weights, (B, β), which sum to 1.
    """
    weights = (features @ query.unsqueeze(-1)).squeeze(-1).softmax(dim=-1)
    return (weights.unsqueeze(1) @ features).squeeze(1), weights


class RoIAttention(nn.Module):
    """Attention over RoI vectors (Eq. 1–8).

    Args:
        num_rois (int): Number of RoIs β.
        channels (int): Number of features of a RoI, C.
    """

    def __init__(self, num_rois: int, channels: int) -> None:
        super().__init__()
        self.query = nn.Linear(num_rois * channels, channels)
        self.context_filter = nn.Linear(channels, channels)
        set_biases(self)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map X (B, β, C) to the features o (B, C) and weights a* (B, β)."""
        z = self.query(x.flatten(1))
        c, weights = attention_pool(x, z)
        return self.context_filter(c) + z, weights


class LSTMAttention(nn.Module):
    """LSTM over RoI vectors with attention to its history (Eq. 9–17).

    Args:
        channels (int): Number of features of a RoI, C.
        lstm_channels (int): Number of LSTM features, C*.
        context_filter (bool): Whether d passes the linear layer of Eq. 16,
            which the released implementation leaves out. Defaults to True.
    """

    def __init__(self, channels: int, lstm_channels: int, context_filter: bool = True) -> None:
        super().__init__()
        self.lstm = nn.LSTM(channels, lstm_channels, batch_first=True)
        self.query = nn.Linear(lstm_channels, lstm_channels)
        self.context_filter = (
            nn.Linear(lstm_channels, lstm_channels) if context_filter else nn.Identity()
        )
        set_biases(self)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map X (B, β, C) to the features p (B, C*) and weights b* (B, β)."""
        history, (last, _) = self.lstm(x)
        v = self.query(last[-1])
        d, weights = attention_pool(history, v)
        return self.context_filter(d) + v, weights
