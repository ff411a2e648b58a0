from collections.abc import Sequence

import torch
from mmdet.structures import SampleList
from torch import Tensor, nn

#: What is kept of the training slices, as :mod:`mmcovid.statistics.mahalanobis` fits it.
STATISTICS = ('mean', 'whitening', 'threshold')


class MahalanobisDistance(nn.Module):
    """How far the features of a slice are from those of the training slices.

    It knows nothing, and adds nothing to a state dict, until it is given statistics, or loads a
    state dict that has them: ``mmcovid publish --familiarity`` writes such. A training forgets
    them, as they are those of the weights before.
    """

    mean: Tensor | None  #: (C,)
    whitening: Tensor | None  #: (C, C)
    threshold: Tensor | None  #: (), the distance above which a slice is unlike them

    def __init__(self) -> None:
        super().__init__()
        for name in STATISTICS:
            self.register_buffer(name, None)
        self.register_buffer('_device', torch.empty(0), persistent=False)

    @property
    def is_fitted(self) -> bool:
        """Whether there are statistics."""
        return self.mean is not None

    @staticmethod
    def pool(x: Tensor | Sequence[Tensor]) -> Tensor:
        """Means over space.

        Args:
            x (Tensor | Sequence[Tensor]): Feature maps, each (B, C, h, w), or the only one.

        Returns:
            Tensor: (B, C of all maps).
        """
        maps: Sequence = [x] if torch.is_tensor(x) else x
        return torch.cat([feats.mean(dim=(2, 3)) for feats in maps], dim=1)

    def forward(self, x: Tensor | Sequence[Tensor]) -> Tensor:
        """Distances (B,) of slices by their feature maps; see :meth:`pool`."""
        return ((self.pool(x) - self.mean) @ self.whitening).norm(dim=1)

    def add_to(self, batch_data_samples: SampleList, x: Tensor | Sequence[Tensor]) -> None:
        """Set ``feature_distance`` of samples, if there are statistics.

        Args:
            batch_data_samples (list[:obj:`DetDataSample`]): Samples of a batch.
            x (Tensor | Sequence[Tensor]): Their feature maps; see :meth:`pool`.
        """
        if not self.is_fitted:
            return
        for sample, distance in zip(batch_data_samples, self(x)):
            sample.feature_distance = distance

    def train(self, mode: bool = True) -> 'MahalanobisDistance':
        """Forget the statistics if a training begins."""
        if mode:
            for name in STATISTICS:
                setattr(self, name, None)
        return super().train(mode)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args, **kwargs) -> None:
        """Take the statistics that a state dict has, whatever their size."""
        for name in STATISTICS:
            value = state_dict.get(prefix + name)
            kept = None if value is None else torch.empty_like(value, device=self._device.device)
            setattr(self, name, kept)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
