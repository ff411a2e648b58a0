"""The scripts in tools/, and a model of one weight and a set of four numbers to try commands on."""

import importlib.util
from pathlib import Path

TOOLS = Path(__file__).parents[1] / 'tools'
TOY = """
import torch
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel, MMDistributedDataParallel
from mmengine.registry import DATASETS, METRICS, MODEL_WRAPPERS, MODELS


@DATASETS.register_module(force=True)
class ToySet(torch.utils.data.Dataset):
    metainfo = dict(classes=('a',))

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return dict(inputs=torch.tensor(float(index)))


@MODELS.register_module(force=True)
class ToyModel(BaseModel):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))

    def forward(self, inputs, mode='tensor'):
        if mode == 'loss':
            return dict(loss=(self.weight * torch.stack(inputs)).mean())
        return [dict(number=x) for x in inputs]


@MODEL_WRAPPERS.register_module(force=True)
class ToyWrapper(MMDistributedDataParallel):
    def __init__(self, module, device_ids):
        super().__init__(module)


@METRICS.register_module(force=True)
class ToyMetric(BaseMetric):
    default_prefix = 'image'

    def process(self, data_batch, data_samples):
        self.results += [float(sample['number']) for sample in data_samples]

    def compute_metrics(self, results):
        return dict(accuracy=sum(results) / 100, covid19_auroc=float('nan'))
"""
CONFIG = """
custom_imports = dict(imports=['toy_of_the_tools_test'])
model = dict(type='ToyModel')
model_wrapper_cfg = dict(type='ToyWrapper')
loader = dict(batch_size=2, num_workers=0, dataset=dict(type='ToySet'))
train_dataloader = dict(sampler=dict(type='InfiniteSampler'), **loader)
test_dataloader = dict(sampler=dict(type='DefaultSampler', shuffle=False), **loader)
test_evaluator = dict(type='ToyMetric')
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1))
train_cfg = dict(by_epoch=False, max_iters=2)
test_cfg = dict()
default_hooks = dict(checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=2))
log_processor = dict(by_epoch=False)
"""


def load_tool(name):
    """A script of tools/ as a module."""
    spec = importlib.util.spec_from_file_location(f'tool_{Path(name).stem}', TOOLS / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
