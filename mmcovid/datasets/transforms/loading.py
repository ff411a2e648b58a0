import cv2
import mmcv.transforms
import numpy as np
from mmcv.transforms import BaseTransform

from mmcovid.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadImageFromFile(mmcv.transforms.LoadImageFromFile):
    """MMCV's transform, with an error that names the file it cannot decode.

    It keeps the name: ``DetInferencer`` looks for it in the test pipeline.

    Raises:
        ValueError: The file is empty, truncated or not an image.
    """

    def transform(self, results: dict) -> dict:
        """Load ``results['img_path']`` into ``results['img']``."""
        try:
            return super().transform(results)
        except (AssertionError, cv2.error) as error:
            raise ValueError(
                f'{results["img_path"]}: empty, truncated or not an image. Copy or download it '
                'again, or take it out of the set.') from error


@TRANSFORMS.register_module()
class ToThreeChannels(BaseTransform):
    """Make any slice three equal float32 channels, values as they were.

    Slices come as 8 or 16 bit grey, as colour files with equal channels, or as
    arrays of Hounsfield units. The full range is kept: the model standardises
    each image by itself. Load with ``color_type='unchanged'``, or 16 bits
    become 8. Colour turns grey as in OpenCV (BGR order), alpha is dropped.

    Required and modified key: ``img``, (H, W) or (H, W, 1 | 3 | 4), any real
    type, to (H, W, 3) float32.

    Raises:
        ValueError: The image is empty, has another shape or values that are
            not finite.
    """

    def transform(self, results: dict) -> dict:
        """Replace ``results['img']``."""
        img = np.asarray(results['img'])
        name = results.get('img_path') or 'the array given'
        if img.size == 0 or img.ndim not in (2, 3) or img.shape[2:] not in ((), (1,), (3,), (4,)):
            raise ValueError(
                f'{name}: a slice must be of shape (H, W) or (H, W, 1 | 3 | 4) and not empty, '
                f'but is {img.shape}. Give one slice at a time, channels last.')
        if img.dtype not in (np.uint8, np.uint16):
            # integers as loaded turn grey exactly, all else goes to OpenCV as float
            img = img.astype(np.float32)
        if img.ndim == 3:
            img = img[..., 0] if img.shape[2] == 1 else cv2.cvtColor(
                np.ascontiguousarray(img[..., :3]), cv2.COLOR_BGR2GRAY)
        img = img.astype(np.float32)
        if not np.isfinite(img).all():
            raise ValueError(f'{name}: has values that are not finite. Replace them, by the '
                             'value of air for instance.')
        results['img'] = np.repeat(img[..., None], 3, axis=2)
        return results
