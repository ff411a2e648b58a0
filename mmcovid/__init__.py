"""One-shot lesion segmentation and classification of chest CT slices, on MMDetection.

Importing mmcovid costs nothing and needs no PyTorch. The stack is checked where it is needed.
"""

from mmcovid.utils.configs import config_path
from mmcovid.utils.registration import register_with_mmengine
from mmcovid.version import __version__, version_info

register_with_mmengine()

__all__ = ['__version__', 'config_path', 'version_info']
