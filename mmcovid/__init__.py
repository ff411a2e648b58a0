"""One-shot lesion segmentation and classification of chest CT slices, on MMDetection."""
import sys

from mmcovid.version import __version__, version_info

# The doctor explains what is wrong with an installation, so it has to start
# where everything else is refused.
if 'mmcovid.utils.doctor' not in sys.orig_argv:
    from mmcovid.utils.versions import check_stack
    check_stack()

    from mmcovid.utils.configs import config_path, register_config_prefix
    from mmcovid.utils.weights import register_safetensors
    register_config_prefix()
    register_safetensors()

__all__ = ['__version__', 'config_path', 'version_info']
