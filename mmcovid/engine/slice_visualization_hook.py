from collections.abc import Sequence
from os import path as osp

from mmdet.engine.hooks import DetVisualizationHook
from mmdet.structures import DetDataSample
from mmengine.runner import Runner

from mmcovid.registry import HOOKS


@HOOKS.register_module()
class SliceVisualizationHook(DetVisualizationHook):
    """Draws into a folder for each task and patient.

    In the lesion set each patient's slices are named 0.jpg, 1.jpg and so on:
    in one folder the pictures of the last patient would replace all others.
    """

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: dict,
                        outputs: Sequence[DetDataSample]) -> None:
        """Draw a batch of tested slices."""
        folder = self.test_out_dir
        for sample in outputs:
            if folder is not None:
                self.test_out_dir = osp.join(folder, sample.task, str(sample.patient_id))
            super().after_test_iter(runner, batch_idx, data_batch, [sample])
        self.test_out_dir = folder
