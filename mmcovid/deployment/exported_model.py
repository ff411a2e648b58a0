"""What all exported models share."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from mmcovid.models.data_preprocessors.slice_data_preprocessor import (
    SliceDataPreprocessor,
    standardize,
)
from mmcovid.models.image_heads import BaseImageHead

from .metadata import DISTANCE_OUTPUT, VECTOR_OUTPUT


class ExportedModel(nn.Module):
    """What a model predicts of one slice, by the names of :mod:`mmcovid.deployment.metadata`.

    Args:
        model (nn.Module): The trained model, on the CPU.
        input_size (tuple[int, int]): Height and width of the slice in pixels.

    Raises:
        ValueError: The model does what this cannot.
    """

    def __init__(self, model: nn.Module, input_size: tuple[int, int]) -> None:
        super().__init__()
        found = [reason for reason, applies in self.reasons_against(model).items() if applies]
        if found:
            raise ValueError(f'the model cannot be exported: it has {", ".join(found)}')
        self.model = model.eval()
        self.input_size = input_size
        height, width = input_size
        divisor = _slice_preprocessor(model).pad_size_divisor
        self.padding = (0, -width % divisor, 0, -height % divisor)

    @staticmethod
    def reasons_against(model: nn.Module) -> dict[str, bool]:
        """What a model may have that is done otherwise here, and whether it has it."""
        return {
            'another preprocessor than SliceDataPreprocessor': type(_slice_preprocessor(model))
            is not SliceDataPreprocessor,
        }

    def _images(self, slices: Tensor) -> Tensor:
        """Standardised and padded slices (1, 3, H, W) of grey values (1, H, W)."""
        return F.pad(standardize(slices), self.padding)[None].expand(-1, 3, -1, -1)

    def _distance(self, x: Tensor | Sequence[Tensor]) -> dict[str, Tensor]:
        """Distance (1,) of the feature maps from the training data; a model may not know these."""
        fitted = getattr(self.model, 'feature_distance', None)
        if fitted is None or not fitted.is_fitted:
            return {}
        return {DISTANCE_OUTPUT: fitted(x)}


def image_results(vectors: Tensor, head: BaseImageHead) -> dict[str, Tensor]:
    """Image logits (K,), scores (K,) and vector (D,) of a slice, from its vector (1, D)."""
    (result,) = head.predict_by_vectors(vectors)
    return {
        'logits': result['logits'],
        'class_scores': result['score'],
        VECTOR_OUTPUT: result['vector'],
    }


def _slice_preprocessor(model: nn.Module) -> nn.Module:
    """What preprocesses slices, also within that of two branches."""
    outer = model.data_preprocessor
    return outer.data_preprocessor if hasattr(outer, 'data_preprocessor') else outer
