"""Detectors, heads and layers."""

from mmcovid.checkpoints import pretrained  # noqa: F401  (a loader of checkpoints)

from .attention_heads import *  # noqa: F401,F403
from .backbones import *  # noqa: F401,F403
from .data_preprocessors import *  # noqa: F401,F403
from .dense_heads import *  # noqa: F401,F403
from .detectors import *  # noqa: F401,F403
from .image_heads import *  # noqa: F401,F403
from .layers import *  # noqa: F401,F403
from .roi_heads import *  # noqa: F401,F403
from .task_modules import *  # noqa: F401,F403
from .wrappers import *  # noqa: F401,F403
