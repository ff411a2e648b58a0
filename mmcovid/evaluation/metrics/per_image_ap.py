from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.utils import apply_to
from torch import Tensor

from mmcovid.registry import METRICS
from mmcovid.statistics.lesion_ap import mean_average_precision, slice_average_precision

from .dump_slices import true_lesions


@METRICS.register_module()
class PerImageAP(BaseMetric):
    """Average precision of lesion masks as in the releases of the paper's author.

    It is taken in each slice over all classes together, see
    :func:`mmcovid.evaluation.per_image_ap`, and averaged over the slices: ``segm_mAP`` (IoU 0.5 to
    0.95), ``segm_mAP_50`` and ``segm_mAP_75``. :class:`LesionMetric` is COCO's.

    Args:
        **kwargs: Of :class:`mmengine.evaluator.BaseMetric`.
    """

    default_prefix = 'per_image'

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Score a batch.

        Args:
            data_batch (Any): Not used.
            data_samples (Sequence[dict]): Samples with ``pred_instances`` and, in pixels of the
                original slice too, ``gt_instances`` or, as in a dump, ``instances``.

        Raises:
            ValueError: If a sample lacks truth or prediction, or their masks differ in size.
        """
        for sample in data_samples:
            if 'pred_instances' not in sample or not {'instances', 'gt_instances'} & sample.keys():
                raise ValueError(
                    f'{sample.get("img_path")} lacks true or predicted lesions: PerImageAP scores '
                    'slices of the lesion set, predicted by a model that segments; '
                    'mmcovid.TaskEvaluator sends it no others'
                )
            truth = sample['instances'] if 'instances' in sample else true_lesions(sample)
            found = apply_to(sample['pred_instances'], torch.is_tensor, Tensor.cpu)
            entry = dict(sample, instances=truth, pred_instances=found)
            self.results.append(slice_average_precision(entry))

    def compute_metrics(self, results: list[np.ndarray]) -> dict[str, float]:
        """The means over all slices.

        Args:
            results (list[np.ndarray]): AP of each slice, (10,), of all ranks.

        Returns:
            dict[str, float]: See the class.

        Raises:
            ValueError: If there is no slice to score.
        """
        if not results:
            raise ValueError(
                'PerImageAP has no slice to score: the test set holds no slice with '
                'lesion masks, or the evaluator passed none on'
            )
        figures = mean_average_precision(np.mean(results, axis=0))
        return {f'segm_{name}': float(value) for name, value in figures.items()}
