from abc import abstractmethod

import torch
from mmdet.structures import SampleList
from mmdet.utils import ConfigType, OptMultiConfig
from mmengine.model import BaseModule
from torch import Tensor
from torch.nn.functional import logsigmoid

from mmcovid.registry import MODELS


class BaseImageHead(BaseModule):
    """What all heads that classify slices share: the image loss and the image-level results.

    A subclass maps its features to one image vector of each slice in :meth:`embed`,
    and these to image logits in :meth:`classify`. One whose embedding gives more
    than vectors overrides :meth:`forward`, :meth:`loss` and :meth:`predict`.

    Args:
        num_classes (int): Number of image classes. Defaults to 3.
        loss_cls (dict): Config of the image loss. Defaults to binary
            cross-entropy with logits on the one-hot label.
        temperature (float): What the logits are divided by before they become
            scores, to calibrate these; ``pred_logits`` and the class stay as
            they are. mmcovid report fits it. Defaults to 1.
        init_cfg (dict, optional): Initialisation of the weights.
    """

    def __init__(
        self,
        num_classes: int = 3,
        loss_cls: ConfigType = dict(type='mmdet.CrossEntropyLoss', use_sigmoid=True),  # noqa: B006
        temperature: float = 1.0,
        init_cfg: OptMultiConfig = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if not temperature > 0:
            raise ValueError(f'temperature must be greater than 0, got {temperature}')
        self.num_classes = num_classes
        self.temperature = temperature
        self.loss_cls = MODELS.build(loss_cls)

    @abstractmethod
    def embed(self, feats: Tensor) -> Tensor:
        """Map the features of slices to image vectors (B, D)."""

    @abstractmethod
    def classify(self, vectors: Tensor) -> Tensor:
        """Map image vectors (B, D) to image logits (B, num_classes)."""

    def forward(self, feats: Tensor) -> Tensor:
        """Map the features of slices to image logits (B, num_classes)."""
        return self.classify(self.embed(feats))

    def loss(self, feats: Tensor, batch_data_samples: SampleList) -> dict[str, Tensor]:
        """Image loss of a batch; see :meth:`loss_by_logits`."""
        return self.loss_by_logits(self(feats), batch_data_samples)

    def predict(self, feats: Tensor) -> list[dict[str, Tensor]]:
        """Image-level results of a batch; see :meth:`predict_by_vectors`."""
        return self.predict_by_vectors(self.embed(feats))

    def loss_by_logits(self, logits: Tensor, batch_data_samples: SampleList) -> dict[str, Tensor]:
        """Image loss of a batch.

        Args:
            logits (Tensor): Image logits (B, num_classes).
            batch_data_samples (list[:obj:`DetDataSample`]): Samples with
                ``gt_label``, a tensor of shape (1,).

        Returns:
            dict[str, Tensor]: ``loss_image`` and ``acc_image``, the share of
            slices classified rightly, in percent.

        Raises:
            ValueError: If a sample has no image label.
        """
        unlabelled = [s.get('img_path') for s in batch_data_samples if 'gt_label' not in s]
        if unlabelled:
            raise ValueError(
                f'no image label (gt_label) in {unlabelled}: slices of the cls branch '
                'come from mmcovid.SliceDataset and end in mmcovid.PackSliceInputs'
            )
        labels = torch.cat([s.gt_label for s in batch_data_samples]).to(logits.device)
        accuracy = (logits.argmax(dim=1) == labels).float().mean() * 100
        return dict(loss_image=self.loss_cls(logits, labels), acc_image=accuracy)

    def predict_by_vectors(self, vectors: Tensor) -> list[dict[str, Tensor]]:
        """Image-level results of a batch.

        Args:
            vectors (Tensor): Image vectors (B, D).

        Returns:
            list[dict[str, Tensor]]: For each slice what
            :meth:`predict_by_logits` gives, and ``vector``, (D,).
        """
        results = self.predict_by_logits(self.classify(vectors))
        for result, vector in zip(results, vectors.float()):
            result['vector'] = vector
        return results

    def predict_by_logits(self, logits: Tensor) -> list[dict[str, Tensor]]:
        """Image-level results of a batch.

        Args:
            logits (Tensor): Image logits (B, num_classes).

        Returns:
            list[dict[str, Tensor]]: For each slice ``label`` (1,), ``logits``
            (num_classes,) and ``score`` (num_classes,), which is the sigmoids
            of the logits, divided by the temperature, normalised to sum to 1
            (the loss is one-vs-rest).
        """
        logits = logits.float()
        # the softmax of log-sigmoids is the normalised sigmoids, without underflow
        scores = logsigmoid(logits / self.temperature).softmax(dim=1)
        return [
            dict(label=logit.argmax().view(1), logits=logit, score=score)
            for logit, score in zip(logits, scores)
        ]


def add_image_results(batch_data_samples: SampleList, results: list[dict[str, Tensor]]) -> None:
    """Set ``pred_label``, ``pred_logits``, ``pred_score``, ``image_vector`` of samples, in place.

    An exported file of a former version gives no vectors, so that samples have none.

    Args:
        batch_data_samples (list[:obj:`DetDataSample`]): Samples of a batch.
        results (list[dict[str, Tensor]]): What the head predicted of each.
    """
    for sample, result in zip(batch_data_samples, results):
        sample.pred_label = result['label']
        sample.pred_logits = result['logits']
        sample.pred_score = result['score']
        if 'vector' in result:
            sample.image_vector = result['vector']
