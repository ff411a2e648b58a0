"""Heads that read the class of a slice from its RoI sequence."""

from .affinity_head import AffinityHead
from .base_attention_head import BaseAttentionHead
from .lstm_attention_head import LSTMAttentionHead
from .roi_attention_head import RoIAttentionHead

__all__ = ['AffinityHead', 'BaseAttentionHead', 'LSTMAttentionHead', 'RoIAttentionHead']
