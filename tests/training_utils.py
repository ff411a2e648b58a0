"""A training of one weight on four numbers, to try hooks on."""

import itertools

import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, METRICS, MODELS
from mmengine.runner import Runner

_NUMBERS = itertools.count()


@DATASETS.register_module(force=True)
class NumberSet(torch.utils.data.Dataset):
    metainfo = dict(classes=('a',))

    def __len__(self):
        return 4

    def __getitem__(self, index):
        sample = DetDataSample(metainfo=dict(img_path=f'{index}.png'))
        return dict(inputs=torch.tensor(float(index)), data_samples=sample)


@MODELS.register_module(force=True)
class NumberModel(BaseModel):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))

    def forward(self, inputs, data_samples, mode='tensor'):
        if mode == 'loss':
            return dict(loss=(self.weight * torch.stack(inputs) - 1).square().mean())
        return data_samples


@METRICS.register_module(force=True)
class NumberMetric(BaseMetric):
    """Grows with each validation, so that each is the best."""

    default_prefix = 'number'
    validations = itertools.count()

    def process(self, data_batch, data_samples):
        self.results += data_samples

    def compute_metrics(self, results):
        return dict(grows=next(self.validations))


def number_runner(work_dir, iters=6, hooks=(), lr=0.01, workers=0, resume=False, **options):
    """A runner that saves at each second iteration and keeps two checkpoints.

    Args:
        work_dir (Path): Its folder.
        iters (int): Of the training.
        hooks (Sequence): Custom hooks.
        lr (float): Of SGD.
        workers (int): Processes that load data.
        resume (bool): Go on with what is in the folder.
        **options: Entries to change, dotted.
    """
    loader = dict(batch_size=2, num_workers=workers, dataset=dict(type='NumberSet'))
    cfg = Config(
        dict(
            model=dict(type='NumberModel'),
            work_dir=str(work_dir),
            train_dataloader=dict(loader, sampler=dict(type='mmcovid.InfiniteSampler')),
            val_dataloader=dict(loader, sampler=dict(type='DefaultSampler', shuffle=False)),
            val_evaluator=dict(type='NumberMetric'),
            val_cfg=dict(),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=lr)),
            train_cfg=dict(by_epoch=False, max_iters=iters, val_interval=100),
            default_hooks=dict(
                checkpoint=dict(
                    type='mmcovid.CheckpointHook', by_epoch=False, interval=2, max_keep_ckpts=2
                ),
                work_dir_lock=dict(type='mmcovid.WorkDirLockHook', timeout=0),
                divergence=dict(type='mmcovid.DivergenceHook'),
                stop_signal=dict(type='mmcovid.StopSignalHook'),
            ),
            log_processor=dict(by_epoch=False),
            randomness=dict(seed=0),
            resume=resume,
            experiment_name=f'numbers {next(_NUMBERS)}',
        )
    )
    cfg.merge_from_dict(options)
    runner = Runner.from_cfg(cfg)
    for hook in hooks:
        runner.register_hook(hook)
    return runner


def named(work_dir):
    """Name of the checkpoint that ``last_checkpoint`` names."""
    return (work_dir / 'last_checkpoint').read_text().split('/')[-1]


def checkpoints(work_dir):
    """Names of all checkpoints of a folder, hidden ones too."""
    return sorted(path.name for path in work_dir.iterdir() if path.suffix == '.pth')
