import torch

from mmcovid.ct import find_lungs
from mmcovid.registry import MODELS

from .slice_data_preprocessor import SliceDataPreprocessor

REGIONS = ('lungs', 'outside lungs')


@MODELS.register_module()
class RegionDataPreprocessor(SliceDataPreprocessor):
    """Show the model one region of each slice only.

    The slice is standardised as a whole, so that what is left looks as it always does; what is
    taken away becomes 0, the mean of the slice, as padding is. In a slice without lungs
    (:func:`~mmcovid.ct.lungs.find_lungs`) nothing is left, or all.

    Args:
        region (str): Region to keep, ``'lungs'`` or ``'outside lungs'``.
        **kwargs: Of :class:`SliceDataPreprocessor`.

    Attributes:
        without_lungs (list[str]): Images in which no lung was found.

    Raises:
        ValueError: If the region is another.
    """

    def __init__(self, region: str, **kwargs) -> None:
        if region not in REGIONS:
            raise ValueError(f'a region is one of {REGIONS}, not {region!r}')
        super().__init__(**kwargs)
        self.region = region
        self.without_lungs: list[str] = []

    def forward(self, data: dict, training: bool = False) -> dict:
        """Do what the parent does, then blank what is outside the region."""
        lungs = [find_lungs(img[0].cpu().numpy()) for img in data['inputs']]
        data = super().forward(data, training)
        for img, sample, found in zip(data['inputs'], data['data_samples'], lungs):
            if not found.any():
                self.without_lungs.append(sample.img_path)
            gone = torch.from_numpy(found ^ (self.region == 'lungs')).to(img.device)
            height, width = gone.shape
            img[:, :height, :width].masked_fill_(gone, 0)
        return data
