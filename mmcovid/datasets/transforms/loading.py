import cv2
import mmcv.transforms
import numpy as np
from mmcv.transforms import BaseTransform
from PIL import Image

from mmcovid.ct import LEVEL, WIDTH, apply_window, check_size, find_slice, is_ct
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

    def __init__(self, *args, window: dict = dict(level=LEVEL, width=WIDTH),  # noqa: B006
                 **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.window = (float(window['level']), float(window['width']))

    def transform(self, results: dict) -> dict:
        """Load ``results['img_path']`` into ``results['img']``."""
        path = results['img_path']
        if is_ct(path):
            return self._load_ct(results)
        try:
            with Image.open(path) as picture:  # its header only
                size, pages = picture.size[::-1], getattr(picture, 'n_frames', 1)
        except Image.DecompressionBombError as error:
            raise ValueError(f'{path}: {error} Nothing was decoded. Take it out.') from error
        except Exception:  # whatever a broken header leads to
            pass  # a remote file, or one of which the decoder tells what is wrong
        else:
            check_size(path, *size)
            if pages > 1:
                raise ValueError(f'{path}: holds {pages} pictures. Give one file for each slice, '
                                 'or convert it to a volume such as NIfTI.')
        try:
            return super().transform(results)
        except (AssertionError, cv2.error) as error:
            raise ValueError(
                f'{path}: empty, truncated or not an image. Copy or download it '
                'again, or take it out of the set.') from error

    def _load_ct(self, results: dict) -> dict:
        """Load a slice of a CT."""
        volume, index = find_slice(results['img_path'])
        img = apply_window(volume.array[index], *self.window)
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
