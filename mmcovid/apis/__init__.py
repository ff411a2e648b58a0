"""Inference from Python."""

from mmdet.apis import inference_detector, init_detector

from .one_shot_inferencer import OneShotInferencer

__all__ = ['OneShotInferencer', 'inference_detector', 'init_detector']
