"""Registries of mmcovid, children of MMEngine's root registries.

In a config with ``default_scope = 'mmdet'`` the modules registered here are
named with their scope, ``type='mmcovid.OneShotRCNN'``: MMEngine then imports
the listed locations by itself, so that no ``custom_imports`` is needed, and
the prefix shows what is new.
"""

from mmcovid.utils.versions import check_stack

check_stack()

from mmengine.registry import DATA_SAMPLERS as MMENGINE_DATA_SAMPLERS
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import EVALUATOR as MMENGINE_EVALUATOR
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import METRICS as MMENGINE_METRICS
from mmengine.registry import MODEL_WRAPPERS as MMENGINE_MODEL_WRAPPERS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import OPTIM_WRAPPERS as MMENGINE_OPTIM_WRAPPERS
from mmengine.registry import TASK_UTILS as MMENGINE_TASK_UTILS
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import VISUALIZERS as MMENGINE_VISUALIZERS
from mmengine.registry import Registry

DATA_SAMPLERS = Registry(
    'data sampler', parent=MMENGINE_DATA_SAMPLERS, locations=['mmcovid.datasets']
)
DATASETS = Registry('dataset', parent=MMENGINE_DATASETS, locations=['mmcovid.datasets'])
TRANSFORMS = Registry(
    'transform', parent=MMENGINE_TRANSFORMS, locations=['mmcovid.datasets.transforms']
)
MODELS = Registry(
    'model',
    parent=MMENGINE_MODELS,
    locations=['mmcovid.models', 'mmcovid.deployment.onnx_detector'],
)
MODEL_WRAPPERS = Registry(
    'model_wrapper', parent=MMENGINE_MODEL_WRAPPERS, locations=['mmcovid.models']
)
TASK_UTILS = Registry('task util', parent=MMENGINE_TASK_UTILS, locations=['mmcovid.models'])
HOOKS = Registry('hook', parent=MMENGINE_HOOKS, locations=['mmcovid.engine'])
OPTIM_WRAPPERS = Registry(
    'optimizer wrapper', parent=MMENGINE_OPTIM_WRAPPERS, locations=['mmcovid.engine']
)
METRICS = Registry('metric', parent=MMENGINE_METRICS, locations=['mmcovid.evaluation'])
EVALUATOR = Registry('evaluator', parent=MMENGINE_EVALUATOR, locations=['mmcovid.evaluation'])
VISUALIZERS = Registry(
    'visualizer', parent=MMENGINE_VISUALIZERS, locations=['mmcovid.visualization']
)
