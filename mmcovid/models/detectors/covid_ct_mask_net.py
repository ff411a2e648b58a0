import os

from mmdet.structures import SampleList
from mmdet.utils import ConfigType, InstanceList
from mmengine.runner import CheckpointLoader
from torch import Tensor, no_grad
from torch.nn.modules.batchnorm import _BatchNorm

from mmcovid.models.image_heads import add_image_results
from mmcovid.registry import MODELS
from mmcovid.utils.files import name_some

from .two_task_detector import TwoTaskDetector


@MODELS.register_module()
class CovidCTMaskNet(TwoTaskDetector):
    """A trained Mask R-CNN turned into a classifier of slices, which it still segments.

    The slice is classified from a fixed number of its RoIs, ranked by score.
    Only the image head and the weights of the BatchNorm layers are trained;
    their statistics, and all else, stay as the first stage left them. The backbone must have
    ``norm_eval=True``.

    Source: A. Ter-Sarkisov, "COVID-CT-Mask-Net: Prediction of COVID-19 from
    CT Scans Using Regional Features", Applied Intelligence, 2022.

    Args:
        image_head (dict): Config of the image head. Its ``num_rois`` is that
            of the RoI head unless given.
        stage1 (str, optional): Checkpoint of the trained Mask R-CNN, which
            :meth:`init_weights` loads. Defaults to None: the detector keeps
            its initial weights, which suits a checkpoint of this model that is
            loaded afterwards, and nothing else.
        **kwargs: Arguments of :class:`TwoTaskDetector`.

    Raises:
        ValueError: If the backbone does not freeze its BatchNorm statistics.
    """

    def __init__(self, *args, image_head: ConfigType, stage1: str | None = None, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if not getattr(self.backbone, 'norm_eval', False):
            raise ValueError(
                'the BatchNorm statistics of a CovidCTMaskNet are frozen: set '
                'norm_eval=True in the backbone'
            )
        self.stage1 = stage1
        self.requires_grad_(False)
        for module in self.modules():
            if isinstance(module, _BatchNorm):
                module.requires_grad_(True)
        self.image_head = MODELS.build(dict(num_rois=self.roi_head.num_rois) | dict(image_head))

    def init_weights(self) -> None:
        """Initialise the weights, those of the detector from the first stage.

        Raises:
            FileNotFoundError: If there is no such checkpoint.
            ValueError: If it is not one of this detector.
        """
        super().init_weights()
        if self.stage1 is None:
            return
        if not os.path.isfile(self.stage1):
            raise FileNotFoundError(
                f'{self.stage1}: no such checkpoint of the first stage. Train it first, with the '
                'config of the same name and "stage1", or correct `model.stage1`.'
            )
        checkpoint = CheckpointLoader.load_checkpoint(self.stage1, map_location='cpu')
        loaded = checkpoint.get('state_dict', checkpoint)
        own = {k: v for k, v in self.state_dict().items() if not k.startswith('image_head.')}
        wrong = [k for k in own if k not in loaded or loaded[k].shape != own[k].shape]
        wrong += [k for k in loaded if k not in own]
        if wrong:
            raise ValueError(
                f'{self.stage1} is not a checkpoint of this detector: missing, unknown or of '
                f'another shape are {name_some(wrong)}. Give that of the first stage with the '
                'same backbone, neck, heads and lesion classes.'
            )
        self.load_state_dict(loaded, strict=False)

    def loss(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> dict[str, Tensor]:
        """Image loss of a batch of slices.

        Args:
            batch_inputs (Tensor): Slices (B, 3, H, W).
            batch_data_samples (list[:obj:`DetDataSample`]): Samples with
                ``gt_label``.

        Returns:
            dict[str, Tensor]: ``loss_image`` and ``acc_image``.
        """
        x, proposals = self._propose(batch_inputs, batch_data_samples)
        rois = self.roi_head.rank_rois(x, proposals, batch_data_samples)
        return self.image_head.loss(rois, batch_data_samples)

    def predict_image_class(
        self,
        x: tuple[Tensor],
        proposals: InstanceList,
        batch_data_samples: SampleList,
        rescale: bool,
    ) -> None:
        """Add the image-level results to the samples; see the parent."""
        rois = self.roi_head.rank_rois(x, proposals, batch_data_samples)
        add_image_results(batch_data_samples, self.image_head.predict(rois))

    def _propose(
        self, batch_inputs: Tensor, batch_data_samples: SampleList
    ) -> tuple[tuple[Tensor], InstanceList]:
        """Feature maps, and region proposals without gradient."""
        x = self.extract_feat(batch_inputs)
        with no_grad():
            return x, self.rpn_head.predict(x, batch_data_samples, rescale=False)

    def _forward(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> tuple:
        """Box and mask outputs, and image logits."""
        x, proposals = self._propose(batch_inputs, batch_data_samples)
        rois = self.roi_head.rank_rois(x, proposals, batch_data_samples)
        return (*self.roi_head.forward(x, proposals, batch_data_samples), self.image_head(rois))
