from .slice_data_preprocessor import SliceDataPreprocessor, standardize

__all__ = ['SliceDataPreprocessor', 'standardize']
