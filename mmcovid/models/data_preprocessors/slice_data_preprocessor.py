import torch
from mmdet.models.data_preprocessors import DetDataPreprocessor
from torch import Tensor

from mmcovid.registry import MODELS


def standardize(img: Tensor) -> Tensor:
    """Standardise a slice, each channel by its own mean and standard deviation.

    Args:
        img (Tensor): Slice of shape (C, H, W), of any number type.

    Returns:
        Tensor: ``(x - mean) / std`` in float32, with the unbiased standard
        deviation; zeros where a channel is constant.
    """
    img = img.float()
    std, mean = torch.std_mean(img, dim=(1, 2), keepdim=True)
    return (img - mean) / std.clamp(min=torch.finfo(img.dtype).eps)


@MODELS.register_module()
class SliceDataPreprocessor(DetDataPreprocessor):
    """Standardise every slice by its own statistics, then pad and stack.

    There is no mean and no standard deviation of a data set: grey levels of
    8 and 16 bit, and any window, come out on one scale.

    Args:
        **kwargs: Arguments of :class:`DetDataPreprocessor`, without ``mean``
            and ``std``.
    """

    def forward(self, data: dict, training: bool = False) -> dict:
        """Standardise the slices of ``data['inputs']``, then do what the parent does.

        Raises:
            ValueError: If there are none, as when a training batch has none of one set, or if
                their shapes differ: the smaller ones would be padded, and what is padded changes
                the statistics that the network normalises a slice by.
        """
        if len(data['inputs']) == 0:
            raise ValueError(
                'there is no slice of one of the sets in the batch: source_ratio of '
                'the sampler must be at least 1 for each'
            )
        shapes = [tuple(img.shape[-2:]) for img in data['inputs']]
        if len(set(shapes)) > 1:
            samples = data.get('data_samples') or [{}] * len(shapes)
            listed = ', '.join(
                f'{sample.get("img_path", "a slice")} {height}×{width}'
                for sample, (height, width) in zip(samples, shapes)
            )
            raise ValueError(
                f'slices of different shapes in one batch, {listed}: put '
                "dict(type='Resize', scale=..., keep_ratio=False) into the pipeline, "
                'or use a batch of 1'
            )
        data = self.cast_data(data)
        return super().forward(
            dict(data, inputs=[standardize(img) for img in data['inputs']]), training
        )
