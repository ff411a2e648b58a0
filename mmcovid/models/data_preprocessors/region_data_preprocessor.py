import cv2
import numpy as np
import torch

from mmcovid.ct import find_lungs
from mmcovid.registry import MODELS

from .slice_data_preprocessor import SliceDataPreprocessor

REGIONS = ('lungs', 'outside lungs')
FILLS = ('blank', 'blur')
#: Width of the blur, its standard deviation, as a share of the slice's longer side.
_BLUR = 0.025


@MODELS.register_module()
class RegionDataPreprocessor(SliceDataPreprocessor):
    """Show the model one region of each slice only.

    The slice is standardised as a whole, so that what is left looks as it always does. What is
    taken away becomes 0, the mean of the slice, as padding is, or is blurred: a model that
    normalises its features by the statistics of each slice, as the one-shot model does, sees
    nothing as it was where most of a slice is one value. In a slice without lungs
    (:func:`~mmcovid.ct.lungs.find_lungs`) nothing is left, or all.

    Args:
        region (str): Region to keep, ``'lungs'`` or ``'outside lungs'``.
        fill (str): What becomes of the rest, ``'blank'`` or ``'blur'``. Defaults to
            ``'blank'``.
        **kwargs: Of :class:`SliceDataPreprocessor`.

    Attributes:
        without_lungs (list[str]): Images in which no lung was found.

    Raises:
        ValueError: If the region or the fill is another.
    """

    def __init__(self, region: str, fill: str = 'blank', **kwargs) -> None:
        if region not in REGIONS:
            raise ValueError(f'a region is one of {REGIONS}, not {region!r}')
        if fill not in FILLS:
            raise ValueError(f'a fill is one of {FILLS}, not {fill!r}')
        super().__init__(**kwargs)
        self.region, self.fill = region, fill
        self.without_lungs: list[str] = []

    def forward(self, data: dict, training: bool = False) -> dict:
        """Do what the parent does, then take away what is outside the region."""
        lungs = [find_lungs(img[0].cpu().numpy()) for img in data['inputs']]
        data = super().forward(data, training)
        for img, sample, found in zip(data['inputs'], data['data_samples'], lungs):
            if not found.any():
                self.without_lungs.append(sample.img_path)
            gone = found ^ (self.region == 'lungs')
            shown = img[:, : gone.shape[0], : gone.shape[1]]
            rest = torch.zeros_like(shown)
            if self.fill == 'blur':
                rest = torch.from_numpy(blur_within(shown[0].cpu().numpy(), gone)).to(img)
            shown.copy_(torch.where(torch.from_numpy(gone).to(img.device), rest, shown))
        return data


def blur_within(image: np.ndarray, region: np.ndarray) -> np.ndarray:
    """An image blurred by what lies in a region only.

    Args:
        image (np.ndarray): (H, W), float.
        region (np.ndarray): (H, W), bool.

    Returns:
        np.ndarray: (H, W), float32: local means of the region; they mean nothing far from it.
    """
    weight = region.astype(np.float32)
    width = _BLUR * max(image.shape)
    total, share = (
        cv2.GaussianBlur(values, (0, 0), width)
        for values in (image.astype(np.float32) * weight, weight)
    )
    return total / np.maximum(share, np.finfo(np.float32).eps)
