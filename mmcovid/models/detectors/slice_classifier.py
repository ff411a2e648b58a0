from mmdet.models.detectors import BaseDetector
from mmdet.structures import SampleList
from mmdet.utils import ConfigType, OptConfigType, OptMultiConfig
from torch import Tensor

from mmcovid.models.image_heads import add_image_results
from mmcovid.models.layers import MahalanobisDistance
from mmcovid.registry import MODELS


@MODELS.register_module()
class SliceClassifier(BaseDetector):
    """Classifies whole slices: a backbone and an image head. It segments no lesions.

    It has the interface of a detector, so that training, testing and
    inference go the same way as for the others.

    Args:
        backbone (dict): Config of the backbone; its last feature map is used.
        image_head (dict): Config of the image head.
        data_preprocessor (dict, optional): Config of the data preprocessor.
        init_cfg (dict, optional): Initialisation of the weights.
    """

    def __init__(
        self,
        backbone: ConfigType,
        image_head: ConfigType,
        data_preprocessor: OptConfigType = None,
        init_cfg: OptMultiConfig = None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        self.backbone = MODELS.build(backbone)
        self.image_head = MODELS.build(image_head)
        self.feature_distance = MahalanobisDistance()

    def extract_feat(self, batch_inputs: Tensor) -> Tensor:
        """Map slices (B, 3, H, W) to the last feature map (B, C, h, w)."""
        return self.backbone(batch_inputs)[-1]

    def loss(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> dict[str, Tensor]:
        """Image loss of a batch of slices.

        Args:
            batch_inputs (Tensor): Slices (B, 3, H, W).
            batch_data_samples (list[:obj:`DetDataSample`]): Samples with
                ``gt_label``.

        Returns:
            dict[str, Tensor]: ``loss_image`` and ``acc_image``.
        """
        return self.image_head.loss(self.extract_feat(batch_inputs), batch_data_samples)

    def predict(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> SampleList:
        """Classify slices.

        Args:
            batch_inputs (Tensor): Slices (B, 3, H, W).
            batch_data_samples (list[:obj:`DetDataSample`]): Their samples.

        Returns:
            list[:obj:`DetDataSample`]: The samples with ``pred_label`` (1,),
            ``pred_logits`` (3,) and ``pred_score`` (3,), and what
            :class:`MahalanobisDistance` adds.
        """
        x = self.extract_feat(batch_inputs)
        self.feature_distance.add_to(batch_data_samples, x)
        add_image_results(batch_data_samples, self.image_head.predict(x))
        return batch_data_samples

    def _forward(
        self, batch_inputs: Tensor, batch_data_samples: SampleList | None = None
    ) -> Tensor:
        """Image logits (B, num_classes)."""
        return self.image_head(self.extract_feat(batch_inputs))
