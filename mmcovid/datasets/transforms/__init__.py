from .formatting import PackSliceInputs
from .loading import LoadImageFromFile, ToThreeChannels

__all__ = ['LoadImageFromFile', 'PackSliceInputs', 'ToThreeChannels']
