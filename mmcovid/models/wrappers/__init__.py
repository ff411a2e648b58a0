"""Wrapper for distributed trainings with two updates an iteration."""

from .one_shot_ddp import OneShotDistributedDataParallel

__all__ = ['OneShotDistributedDataParallel']
