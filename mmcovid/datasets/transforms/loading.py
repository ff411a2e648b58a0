import cv2
import mmcv.transforms
import numpy as np
from mmcv.transforms import BaseTransform

from mmcovid.ct import LEVEL, WIDTH, apply_window, check_picture, find_slice, is_ct, to_grey
from mmcovid.registry import TRANSFORMS


@TRANSFORMS.register_module(name=['LoadImageFromFile', 'LoadCTSlice'])
class LoadImageFromFile(mmcv.transforms.LoadImageFromFile):
    """Load a slice from a picture or from a CT as it comes from a scanner.

    Pictures go to MMCV's transform, at any depth. DICOM, NIfTI, NRRD and MetaImage slices are
    read in Hounsfield units (HU), seen through a window, and become 8-bit grey as a picture of
    them would have; ``scan.nrrd#012`` names a slice of a volume, see
    :class:`~mmcovid.ct.SlicePath`. The volume last used is kept in memory.

    It keeps MMCV's name: ``DetInferencer`` looks for it in the test pipeline.
    ``mmcovid.LoadCTSlice`` is the same transform.

    Added keys: ``img``, ``img_shape``, ``ori_shape`` and, of a CT, ``window`` (level and width in
    HU), ``spacing`` (x, y, z in mm) and ``slice_index``.

    Args:
        window (dict): ``level`` and ``width`` of the window of a CT, in HU. Defaults to
            ``dict(level=-600, width=1500)``, the window of COVIDx-CT.
        **kwargs: Those of :class:`mmcv.transforms.LoadImageFromFile`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is empty, truncated, not an image, or larger than a slice can be.
    """

    def __init__(
        self,
        *args,
        window: dict = dict(level=LEVEL, width=WIDTH),  # noqa: B006
        **kwargs,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.window = (float(window['level']), float(window['width']))

    def transform(self, results: dict) -> dict:
        """Load ``results['img_path']`` into ``results['img']``."""
        path = results['img_path']
        if is_ct(path):
            return self._load_ct(results)
        check_picture(path)
        try:
            return super().transform(results)
        except (AssertionError, cv2.error) as error:
            raise ValueError(
                f'{path}: empty, truncated or not an image. Copy or download it '
                'again, or take it out of the set.'
            ) from error

    def _load_ct(self, results: dict) -> dict:
        """Load a slice of a CT."""
        volume, index = find_slice(results['img_path'])
        img = apply_window(volume.array[index], *self.window)
        said = results.get('height', img.shape[0]), results.get('width', img.shape[1])
        if said != img.shape:
            raise ValueError(
                f'{results["img_path"]}: is of shape {img.shape}, its masks of {said}. Give the '
                'images that were annotated.'
            )
        if self.color_type == 'color':
            img = np.repeat(img[..., None], 3, axis=2)
        results['img'] = img.astype(np.float32) if self.to_float32 else img
        results['img_shape'] = results['ori_shape'] = img.shape[:2]
        results.update(window=self.window, spacing=volume.spacing, slice_index=index)
        return results


#: By the name of what it adds.
LoadCTSlice = LoadImageFromFile


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
        img = to_grey(results['img'], results.get('img_path') or 'the array given')
        results['img'] = np.repeat(img[..., None], 3, axis=2)
        return results
