from abc import abstractmethod

import torch
from mmdet.structures import SampleList
from mmdet.utils import OptConfigType, OptMultiConfig
from torch import Tensor, nn

from mmcovid.models.image_heads import BaseImageHead
from mmcovid.models.layers import RoIRefinement, RoIVectorization

# of refinement and vectorisation; linear layers and LSTMs keep PyTorch's own
_INIT_CFG = dict(
    type='Kaiming',
    layer=['Conv2d', 'ConvTranspose2d'],
    mode='fan_out',
    distribution='normal',
    bias=0.01,
)


class BaseAttentionHead(BaseImageHead):
    """Classify a slice from the mask features of its RoIs.

    Refinement and vectorisation (Sec. III-B) turn β RoI feature maps into the
    matrix X (β×C); a subclass pools X into one feature vector per branch in
    :meth:`pool`; each branch has an image classifier. With two branches the
    logits are those of the class-relevant minus those of the class-irrelevant
    one.

    Args:
        num_rois (int): Number of RoIs β of a slice, at least 2: they are
            normalised by their common statistics.
        in_channels (int): Number of channels C of a RoI. Defaults to 256.
        roi_size (int): Height and width of a RoI feature map. Defaults to 28.
        pooled_channels (int, optional): Number of features that
            :meth:`pool` gives. Defaults to ``in_channels``.
        num_branches (int): 1 or 2. Defaults to 1.
        num_refinements (int): Number of refinement stages N. Defaults to 1.
        hidden_channels (int): Width of the image classifier. Defaults to 128.
        num_classes (int): Number of image classes. Defaults to 3.
        norm_cfg (dict, optional): Normalisation of refinement and
            vectorisation. By default the RoIs of each slice are normalised
            by their own statistics.
        init_cfg (dict, optional): Initialisation of the weights. Defaults to
            Kaiming normal, fan-out, with biases 0.01, for convolutions;
            linear layers and LSTMs keep PyTorch's.
        **kwargs: Arguments of :class:`BaseImageHead`.
    """

    def __init__(
        self,
        num_rois: int,
        in_channels: int = 256,
        roi_size: int = 28,
        pooled_channels: int | None = None,
        num_branches: int = 1,
        num_refinements: int = 1,
        hidden_channels: int = 128,
        num_classes: int = 3,
        norm_cfg: OptConfigType = None,
        init_cfg: OptMultiConfig = _INIT_CFG,
        **kwargs,
    ) -> None:
        super().__init__(num_classes, init_cfg=init_cfg, **kwargs)
        if num_rois < 2:
            raise ValueError(f'num_rois (β) must be at least 2, got {num_rois}')
        if num_branches not in (1, 2):
            raise ValueError(f'num_branches must be 1 or 2, got {num_branches}')
        if norm_cfg is None:
            norm_cfg = dict(type='mmcovid.PerImageBatchNorm2d', samples_per_image=num_rois)
        self.num_rois = num_rois
        self.refinement = nn.Sequential(
            *(RoIRefinement(in_channels, norm_cfg) for _ in range(num_refinements))
        )
        self.vectorization = RoIVectorization(in_channels, roi_size, norm_cfg)
        self.classifiers = nn.ModuleList(
            nn.Sequential(
                nn.Linear(pooled_channels or in_channels, hidden_channels),
                nn.ReLU(inplace=True),
                nn.Linear(hidden_channels, hidden_channels),
                nn.ReLU(inplace=True),
                nn.Linear(hidden_channels, num_classes),
            )
            for _ in range(num_branches)
        )

    @abstractmethod
    def pool(self, x: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Pool the RoI vectors of each slice.

        Args:
            x (Tensor): The matrices X, (B, β, C).

        Returns:
            list[tuple[Tensor, Tensor]]: For every branch the features,
            (B, pooled_channels), and the weights of the RoIs, (B, β).
        """

    def embed(self, roi_feats: Tensor) -> tuple[Tensor, Tensor]:
        """Map the RoIs of slices to their image vectors.

        Args:
            roi_feats (Tensor): RoI mask features (B · β, C, H, W), slice
                after slice, each in its own order.

        Returns:
            tuple[Tensor, Tensor]: Image vectors, the features of all branches
            side by side, (B, num_branches · pooled_channels), and attention
            weights, (B, β, num_branches).
        """
        x = self.vectorization(self.refinement(roi_feats)).unflatten(0, (-1, self.num_rois))
        features, weights = zip(*self.pool(x))
        return torch.cat(features, dim=1), torch.stack(weights, dim=-1)

    def classify(self, vectors: Tensor) -> Tensor:
        """Map image vectors (B, num_branches · pooled_channels) to image logits (B, K)."""
        features = vectors.chunk(len(self.classifiers), dim=1)
        logits = [classify(feature) for classify, feature in zip(self.classifiers, features)]
        return logits[0] if len(logits) == 1 else logits[0] - logits[1]

    def forward(self, roi_feats: Tensor) -> tuple[Tensor, Tensor]:
        """Classify slices.

        Args:
            roi_feats (Tensor): RoI mask features, as for :meth:`embed`.

        Returns:
            tuple[Tensor, Tensor]: Image logits, (B, num_classes), and
            attention weights, (B, β, num_branches).
        """
        vectors, weights = self.embed(roi_feats)
        return self.classify(vectors), weights

    def loss(self, roi_feats: Tensor, batch_data_samples: SampleList) -> dict[str, Tensor]:
        """Image loss of a batch.

        Args:
            roi_feats (Tensor): RoI mask features (B · β, C, H, W).
            batch_data_samples (list[:obj:`DetDataSample`]): Samples with
                ``gt_label``, a tensor of shape (1,).

        Returns:
            dict[str, Tensor]: ``loss_image`` and ``acc_image``, the share of
            slices classified rightly, in percent.
        """
        logits, _ = self(roi_feats)
        return self.loss_by_logits(logits, batch_data_samples)

    def predict(self, roi_feats: Tensor) -> list[dict[str, Tensor]]:
        """Image-level results of a batch.

        Args:
            roi_feats (Tensor): RoI mask features (B · β, C, H, W).

        Returns:
            list[dict[str, Tensor]]: For each slice ``label``, ``logits``,
            ``score`` and ``vector`` as :meth:`predict_by_vectors` gives them,
            and ``attention``, (β,) or (β, 2).
        """
        vectors, attention = self.embed(roi_feats)
        results = self.predict_by_vectors(vectors)
        for result, weights in zip(results, attention.float()):
            result['attention'] = weights.squeeze(-1)
        return results
