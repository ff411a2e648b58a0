import os.path as osp
from collections.abc import Sequence

from mmdet.engine.hooks import DetVisualizationHook
from mmdet.structures import DetDataSample
from mmengine.runner import Runner

from mmcovid.registry import HOOKS


@HOOKS.register_module()
class SliceVisualizationHook(DetVisualizationHook):
    """Draws slices during a test into folders named as those that they come from.

    The stock hook names a picture after its slice alone. Lesion sets call the slices of every
    patient 0.jpg, 1.jpg, ..., so that the pictures of one patient replace those of another.
    """

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: dict,
                        outputs: Sequence[DetDataSample]) -> None:
        """Draw each slice into ``<test_out_dir>/<its folder>/<its name>``."""
        folder = self.test_out_dir
        for sample in outputs:
            if folder is not None:
                self.test_out_dir = osp.join(
                    folder, osp.basename(osp.dirname(sample.img_path)))
            super().after_test_iter(runner, batch_idx, data_batch, [sample])
            self.test_out_dir = folder
