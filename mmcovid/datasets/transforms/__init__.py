"""Loading and packing of slices."""

from .formatting import PackSliceInputs
from .loading import LoadCTSlice, LoadImageFromFile, ToThreeChannels

__all__ = ['LoadCTSlice', 'LoadImageFromFile', 'PackSliceInputs', 'ToThreeChannels']
