from .one_shot_ddp import OneShotDistributedDataParallel

__all__ = ['OneShotDistributedDataParallel']
