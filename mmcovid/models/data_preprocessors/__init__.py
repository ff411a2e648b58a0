"""Standardisation of slices."""

from .region_data_preprocessor import RegionDataPreprocessor
from .slice_data_preprocessor import SliceDataPreprocessor, standardize

__all__ = ['RegionDataPreprocessor', 'SliceDataPreprocessor', 'standardize']
