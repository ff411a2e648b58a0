from abc import abstractmethod

import torch
from mmdet.models.detectors import TwoStageDetector
from mmdet.structures import SampleList
from mmdet.utils import InstanceList
from mmengine.utils import apply_to
from torch import Tensor, nn

from mmcovid.models.layers import MahalanobisDistance


def float_outputs(module: nn.Module, args: tuple, outputs: tuple) -> tuple:
    """Forward hook: in mixed precision, give the outputs of a module in float32."""
    return apply_to(outputs, torch.is_tensor, Tensor.float)


class TwoTaskDetector(TwoStageDetector):
    """A two-stage detector that also classifies the slice, from the regions that it finds.

    Args:
        test_cfg (dict): As in :class:`TwoStageDetector`. With
            ``detect_cls_slices=True``, lesions are also segmented in slices of
            the ``cls`` set; otherwise these are only classified.
        **kwargs: Arguments of :class:`TwoStageDetector`.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        # in mixed precision: boxes need float32, and MMCV's RoI operators know no bfloat16
        for module in (self.neck, self.rpn_head, self.roi_head.bbox_head):
            module.register_forward_hook(float_outputs)
        self.feature_distance = MahalanobisDistance()

    def predict(
        self, batch_inputs: Tensor, batch_data_samples: SampleList, rescale: bool = True
    ) -> SampleList:
        """Segment the lesions of slices and classify them.

        Args:
            batch_inputs (Tensor): Slices (B, 3, H, W).
            batch_data_samples (list[:obj:`DetDataSample`]): Their samples. One
                whose metainfo says ``task='cls'`` is only classified, unless
                ``test_cfg.detect_cls_slices`` is set.
            rescale (bool): Whether to give the results in pixels of the
                original image. Defaults to True.

        Returns:
            list[:obj:`DetDataSample`]: The samples with ``pred_instances``
            (boxes, labels, scores, masks), ``pred_label`` (1,),
            ``pred_logits`` (3,), ``pred_score`` (3,), and what
            :meth:`predict_image_class` and :class:`MahalanobisDistance` add to these.
        """
        x = self.extract_feat(batch_inputs)
        self.feature_distance.add_to(batch_data_samples, x)
        proposals = self.rpn_head.predict(x, batch_data_samples, rescale=False)
        self.predict_image_class(x, proposals, batch_data_samples, rescale)

        detect_all = self.test_cfg.get('detect_cls_slices', False)
        chosen = [
            i
            for i, sample in enumerate(batch_data_samples)
            if detect_all or sample.get('task') != 'cls'
        ]
        if chosen:
            samples = [batch_data_samples[i] for i in chosen]
            results = self.roi_head.predict(
                tuple(feat[chosen] for feat in x),
                [proposals[i] for i in chosen],
                samples,
                rescale=rescale,
            )
            self.add_pred_to_datasample(samples, results)
        return batch_data_samples

    @abstractmethod
    def predict_image_class(
        self,
        x: tuple[Tensor],
        proposals: InstanceList,
        batch_data_samples: SampleList,
        rescale: bool,
    ) -> None:
        """Add the image-level results to the samples.

        Args:
            x (tuple[Tensor]): Feature maps, each (B, C, h, w).
            proposals (list[:obj:`InstanceData`]): Region proposals of each
                slice.
            batch_data_samples (list[:obj:`DetDataSample`]): The samples.
            rescale (bool): Whether to give boxes in pixels of the original
                image.
        """
