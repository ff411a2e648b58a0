from collections.abc import Sequence
from typing import Any

import numpy as np
import pycocotools.mask as mask_utils
import torch
from mmdet.evaluation import DumpDetResults

from mmcovid.classes import Classes
from mmcovid.registry import METRICS


@METRICS.register_module()
class DumpSlices(DumpDetResults):
    """Dump predictions together with all that is needed to evaluate them later.

    The dump is a list of dicts, as of :class:`mmdet.evaluation.DumpDetResults`, with all that the
    samples hold but ``image_vector``, which no report reads: ``task``, ``img_id``, ``img_path``,
    ``patient_id``, ``scan_id``, ``gt_label``, ``pred_label``, ``pred_logits``, ``pred_score``,
    ``roi_sequence``, and ``pred_instances`` with masks as run-length encodings. In
    ``pred_instances`` tensors stay tensors, elsewhere they become arrays. Each dict also has

    - ``image_classes`` and ``lesion_classes``, the names of the classes, and ``palette``,
      ``display_names`` and ``roles``, the rest of what :meth:`mmcovid.classes.Classes.from_meta`
      needs;
    - for slices of the lesion set ``instances``, the true lesions in pixels of the original
      slice, as MMDetection's CocoMetric reads them: dicts with ``bbox`` (x1, y1, x2, y2),
      ``bbox_label``, ``mask`` (run-length encoded) and ``ignore_flag``.

    Args:
        **kwargs: Of :class:`mmdet.evaluation.DumpDetResults`, such as ``out_file_path``.
    """

    default_prefix = 'dump'  # of no figures, but MMEngine warns without one

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep a batch.

        Args:
            data_batch (Any): Not used.
            data_samples (Sequence[dict]): Samples with truth and predictions.

        Raises:
            ValueError: If the true masks are not of the size of the original slice.
        """
        classes = self._describe_classes()
        done = len(self.results)
        super().process(data_batch, data_samples)
        for i, sample in enumerate(data_samples, done):
            dumped = self.results[i] = {
                # what CocoMetric reads must stay tensors; arrays are read far faster
                key: value if key == 'pred_instances' else _to_arrays(value)
                for key, value in self.results[i].items()
                if key != 'image_vector'
            } | classes
            if sample.get('task') == 'seg' and 'gt_instances' in sample:
                dumped['instances'] = true_lesions(sample)

    def _describe_classes(self) -> dict:
        """Plain values only: a config's own types could not be read without running code."""
        meta = self.dataset_meta or {}
        described = Classes.from_meta(meta).to_meta()
        return dict(
            lesion_classes=tuple(meta.get('classes', ())),
            image_classes=tuple(meta.get('image_classes', ())),
            **{key: described[key] for key in ('palette', 'display_names', 'roles')},
        )


def _to_arrays(value: Any) -> Any:
    """Tensors, in dicts too, as numpy arrays."""
    if isinstance(value, dict):
        return {key: _to_arrays(item) for key, item in value.items()}
    if not isinstance(value, torch.Tensor):
        return value
    return value.float().numpy() if value.dtype == torch.bfloat16 else value.numpy()


def true_lesions(sample: dict) -> list[dict]:
    """True lesions of a slice, as plain values.

    Args:
        sample (dict): With ``gt_instances`` and ``ori_shape``.

    Returns:
        list[dict]: ``instances``, see :class:`DumpSlices`.

    Raises:
        ValueError: If the true masks are not of the size of the original slice.
    """
    truth = sample['gt_instances']
    masks = truth['masks'].to_ndarray().astype(np.uint8)
    if masks.shape[1:] != tuple(sample['ori_shape'][:2]):
        raise ValueError(
            f'{sample.get("img_path")}: its true masks are {masks.shape[1:]}, not of the size of '
            f'the slice, {sample["ori_shape"][:2]}: put LoadAnnotations after Resize in the test '
            'pipeline'
        )
    boxes = getattr(truth['bboxes'], 'tensor', truth['bboxes']).tolist()
    return [
        dict(
            bbox=box,
            bbox_label=label,
            ignore_flag=0,
            mask=mask_utils.encode(np.asfortranarray(mask)),
        )
        for box, label, mask in zip(boxes, truth['labels'].tolist(), masks)
    ]
