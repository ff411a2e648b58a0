"""What the attention weights say, and whether they can be believed.

``regions``, ``deletion`` and ``record`` look at slices, ``measure`` computes figures of them,
``plots`` draws them, ``page`` lays them out, and ``write`` does all of it for the test set of a
config. Only ``record`` and ``write`` need PyTorch to be imported.
"""

from mmcovid.results import AttentionReport, AttentionSettings

from .deletion import Deletion, delete_rois, refill
from .measure import measure_sets
from .slices import SliceAttention

__all__ = [
    'AttentionReport',
    'AttentionSettings',
    'Deletion',
    'SliceAttention',
    'delete_rois',
    'measure_sets',
    'refill',
]
