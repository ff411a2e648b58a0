from collections.abc import Sequence
from os import path as osp

from mmdet.engine.hooks import DetVisualizationHook
from mmdet.structures import DetDataSample
from mmengine.runner import Runner

from mmcovid.ct import SlicePath, is_ct, read_picture
from mmcovid.registry import HOOKS


@HOOKS.register_module()
class SliceVisualizationHook(DetVisualizationHook):
    """Draws into a folder for each task and patient, slices of volumes too.

    In the lesion set each patient's slices are named 0.jpg, 1.jpg and so on:
    in one folder the pictures of the last patient would replace all others.
    """

    test_out_dir: str | None  #: see the parent

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict, outputs: Sequence[DetDataSample]
    ) -> None:
        """Draw the first slice of a batch at intervals; slices of volumes are not drawn."""
        if not is_ct(outputs[0].img_path):
            super().after_val_iter(runner, batch_idx, data_batch, outputs)

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict, outputs: Sequence[DetDataSample]
    ) -> None:
        """Draw a batch of tested slices."""
        folder = self.test_out_dir
        for sample in outputs:
            if folder is not None:
                self.test_out_dir = osp.join(folder, sample.task, str(sample.patient_id))
            if is_ct(sample.img_path):
                self._draw_ct(runner, sample)
            else:
                super().after_test_iter(runner, batch_idx, data_batch, [sample])
        self.test_out_dir = folder

    def _draw_ct(self, runner: Runner, sample: DetDataSample) -> None:
        """What the parent does with a picture, for a slice that no picture is of."""
        if not self.draw:
            return
        self._test_index += 1
        name = osp.basename(SlicePath.parse(sample.img_path).as_file())
        out_file = (
            osp.join(runner.work_dir, runner.timestamp, self.test_out_dir, f'{name}.png')
            if self.test_out_dir
            else None
        )
        self._visualizer.add_datasample(
            name if self.show else 'test_img',
            read_picture(sample.img_path, sample.window),
            data_sample=sample,
            show=self.show,
            wait_time=self.wait_time,
            pred_score_thr=self.score_thr,
            out_file=out_file,
            step=self._test_index,
        )
