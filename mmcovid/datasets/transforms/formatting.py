from collections.abc import Sequence

import torch
from mmdet.datasets.transforms import PackDetInputs

from mmcovid.registry import TRANSFORMS


@TRANSFORMS.register_module()
class PackSliceInputs(PackDetInputs):
    """Pack a slice of either set into a ``DetDataSample``.

    Adds to MMDetection's packing the image-level label, ``data_sample.gt_label``
    (int64, shape (1,)), where the slice has one, and the keys by which a
    sample is routed and reported.

    Args:
        meta_keys (Sequence[str]): Keys that go into the metainfo; those that a
            sample lacks are left out. Defaults to MMDetection's and ``task``,
            ``patient_id``, ``scan_id``, and of a CT ``window``, ``spacing``,
            ``slice_index``.
    """

    def __init__(
        self,
        meta_keys: Sequence[str] = (
            'img_id',
            'img_path',
            'ori_shape',
            'img_shape',
            'scale_factor',
            'flip',
            'flip_direction',
            'task',
            'patient_id',
            'scan_id',
            'window',
            'spacing',
            'slice_index',
        ),
    ) -> None:
        super().__init__(meta_keys)

    def transform(self, results: dict) -> dict:
        """Pack ``results`` into ``inputs`` (C, H, W) and ``data_samples``."""
        # some releases of MMDetection assert that every key is there
        present = [key for key in self.meta_keys if key in results]
        packed = PackDetInputs(present).transform(results)
        if 'gt_label' in results:
            packed['data_samples'].gt_label = torch.tensor([results['gt_label']])
        return packed
