"""What the attention weights say, and whether they can be believed.

See ``tools/analysis_tools/attention_report.py``.
"""
from .deletion import Deletion, delete_rois, refill
from .record import SliceAttention, check_attention, record_slices
from .write import Settings, write_report

__all__ = [
    'Deletion', 'Settings', 'SliceAttention', 'check_attention', 'delete_rois', 'record_slices',
    'refill', 'write_report'
]
