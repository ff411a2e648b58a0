"""An exported model where MMEngine's runner expects a detector."""

import torch
from mmdet.structures import DetDataSample, SampleList
from mmengine.model import BaseModel
from mmengine.structures import InstanceData

from mmcovid.models.image_heads import add_image_results
from mmcovid.registry import MODELS
from mmcovid.results import Lesions, RoISequence, SliceResult

from .onnx_predictor import OnnxPredictor


@MODELS.register_module()
class OnnxDetector(BaseModel):
    """An exported model, to be tested as the detector that it was exported from.

    ``mmcovid test CONFIG model.onnx`` puts it into the config in place of the model.

    Args:
        path (str): The ``.onnx`` file.
        temperature (float, optional): What logits are divided by to become scores. Defaults to
            None: that of the file.
        **kwargs: ``threads``, ``engine``, ``precision`` and ``device`` of :class:`OnnxPredictor`.
    """

    def __init__(self, path: str, temperature: float | None = None, **kwargs) -> None:
        super().__init__()
        self.predictor = OnnxPredictor(path, **kwargs)
        if temperature is not None:
            self.predictor.temperature = temperature

    def test_step(self, data: dict) -> SampleList:
        """Predict a batch of the test pipeline.

        Args:
            data (dict): ``inputs``, slices (3, H, W) of the size that the file takes, and
                ``data_samples``. One whose metainfo says ``task='cls'`` is only classified.

        Returns:
            list[:obj:`DetDataSample`]: The samples with what :meth:`TwoTaskDetector.predict`
            adds.

        Raises:
            ValueError: Lesions are asked of a file that only classifies.
        """
        for img, sample in zip(data['inputs'], data['data_samples']):
            detect = sample.get('task') != 'cls'
            if detect and not self.predictor.segments:
                raise ValueError(
                    f'{self.predictor.path}: only classifies, and {sample.img_path} has lesions '
                    'to be found. Export the model without --class-only.'
                )
            result = self.predictor.predict_resized(
                img[0].float().numpy(),
                sample.img_path,
                sample.ori_shape,
                score_thr=0.0 if detect else 1.0,
            )
            _add_result(sample, result, detect)
        return data['data_samples']

    def forward(self, *args, **kwargs) -> None:
        """What trains is the model that it was exported from."""
        raise NotImplementedError('an exported model is only tested')


def _add_result(sample: DetDataSample, result: SliceResult, detect: bool) -> None:
    """Put what is known of a slice into its sample."""
    if detect and result.lesions is not None:
        sample.pred_instances = _instances(result.lesions)
    if result.class_logits is not None and result.class_scores is not None:
        logits = torch.from_numpy(result.class_logits).float()
        score = torch.from_numpy(result.class_scores).float()
        found = dict(label=logits.argmax().view(1), logits=logits, score=score)
        if result.image_vector is not None:
            found['vector'] = torch.from_numpy(result.image_vector)
        add_image_results([sample], [found])
    if result.roi_sequence is not None:
        sample.roi_sequence = _instances(result.roi_sequence)
    if result.feature_distance is not None:
        sample.feature_distance = torch.tensor(result.feature_distance)


def _instances(found: Lesions | RoISequence) -> InstanceData:
    """The arrays of a dataclass as tensors."""
    return InstanceData(**{name: torch.from_numpy(a) for name, a in vars(found).items()})
