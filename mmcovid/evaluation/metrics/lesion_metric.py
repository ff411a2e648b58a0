import numpy as np
import pycocotools.mask as mask_utils
from mmdet.evaluation import CocoMetric

from mmcovid.registry import METRICS


@METRICS.register_module()
class LesionMetric(CocoMetric):
    """COCO average precision of boxes and masks of lesions.

    It differs from :class:`mmdet.evaluation.CocoMetric` where lesion sets need it:

    - A model that finds nothing at all, as early in training, scores 0 instead of returning no
      figures, on which ``save_best`` would stop the training.
    - With ``classwise=True`` the keys name the kind, ``coco/segm_ggo_precision``: the stock keys
      of boxes and masks are equal, and one overwrites the other.
    - A figure for which the set has no ground truth is nan, not -1.
    - Slices of the JSON that the dataset left out do not count.
    """

    metrics: list[str]  #: kinds of figures, ``bbox`` and ``segm``; see the parent

    def results2json(self, results: list[dict], outfile_prefix: str) -> dict:
        """Write the predictions in COCO's format; see the parent.

        Args:
            results (list[dict]): Predictions of the slices, with ``img_id``, ``bboxes`` (n, 4),
                ``labels`` (n,), ``scores`` (n,) and ``masks`` (n run-length encodings).
            outfile_prefix (str): Beginning of the written files' names.

        Returns:
            dict: File names by kind.
        """
        if not any(len(result['labels']) for result in results):
            # An empty false positive with score 0 changes no figure, and COCO's tools, which
            # refuse an empty list, can count.
            nothing = dict(
                results[0], bboxes=np.zeros((1, 4)), scores=np.zeros(1), labels=np.zeros(1, int)
            )
            if 'masks' in nothing:
                height, width = self._image_size(results[0]['img_id'])
                empty = np.zeros((height, width), np.uint8, order='F')
                nothing['masks'] = [mask_utils.encode(empty)]
            results = [nothing, *results[1:]]
        return super().results2json(results, outfile_prefix)

    def _image_size(self, img_id: int) -> tuple[int, int]:
        """Height and width of a slice in pixels."""
        image = self._coco_api.imgs[img_id]
        return image['height'], image['width']

    def compute_metrics(self, results: list[tuple[dict, dict]]) -> dict[str, float]:
        """The figures over all slices.

        Args:
            results (list[tuple[dict, dict]]): Ground truth and prediction of each slice.

        Returns:
            dict[str, float]: Such as ``segm_mAP`` and, classwise, ``segm_ggo_precision``.
        """
        # a slice that the dataset left out, by `skip_list` or `indices`, was not missed
        self.img_ids = sorted({prediction['img_id'] for _, prediction in results})
        kinds, metrics = self.metrics, {}
        try:
            for kind in kinds:
                self.metrics = [kind]
                for key, value in super().compute_metrics(results).items():
                    key = f'{kind}_{key}' if key.endswith('_precision') else key
                    metrics[key] = float('nan') if value == -1 else float(value)
        finally:
            self.metrics = kinds
        return metrics
