"""Plain modules: attention, RoI features, normalisation by image, distance of features."""

from .attention import LSTMAttention, RoIAttention, attention_pool
from .background_predictors import ConvWithBackground, LinearWithBackground
from .fused_upsample import FusedUpsample, upsample_conv
from .initialization import kaiming_weights, set_biases
from .mahalanobis import MahalanobisDistance
from .per_image_norm import PerImageBatchNorm2d
from .roi_features import RoIRefinement, RoIVectorization

__all__ = [
    'ConvWithBackground',
    'FusedUpsample',
    'LSTMAttention',
    'LinearWithBackground',
    'MahalanobisDistance',
    'PerImageBatchNorm2d',
    'RoIAttention',
    'RoIRefinement',
    'RoIVectorization',
    'attention_pool',
    'kaiming_weights',
    'set_biases',
    'upsample_conv',
]
