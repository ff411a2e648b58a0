from collections.abc import Sequence
from pathlib import Path

import cv2
import mmcv
import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmdet.visualization import DetLocalVisualizer
from mmdet.visualization.palette import get_palette
from mmengine.dist import master_only
from mmengine.structures import InstanceData

from mmcovid.classes import LESION, LUNG, Classes, NamedClass, as_color
from mmcovid.drawing.rois import WeightedRoIs, draw_rois, tell_attention
from mmcovid.drawing.side_panel import BACKGROUND, DIM, TEXT, SidePanel, caption_strip
from mmcovid.drawing.slices import (
    Color,
    at_full_depth,
    display_scale,
    draw_boxes,
    draw_masks,
    to_rgb8,
)
from mmcovid.registry import VISUALIZERS
from mmcovid.utils.files import atomic_path

from .masks import mask_stack

RIGHT: Color = (110, 205, 130)
WRONG: Color = (255, 140, 80)


@VISUALIZERS.register_module()
class OneShotVisualizer(DetLocalVisualizer):
    """Draws what the one-shot model says about a CT slice.

    The lungs are outlined and the lesions tinted, by class. A panel beside the slice, which
    therefore stays free of text, tells the image-level class with its scores and, for every
    lesion class, its colour, number and best score. Ground truth, where there is some, is drawn
    beside the prediction. Small slices are enlarged, 16-bit slices are shown at full depth.

    The classes are those of ``dataset_meta``, see :meth:`mmcovid.classes.Classes.from_meta`.

    Args:
        name (str): Name of the instance. Defaults to 'visualizer'.
        draw_attention (bool): Also draw the RoI sequence, coloured by the weight that the
            attention head gives to each RoI, once for each of its branches. Numbers at the
            corners lead to a legend with lesion class, weight and rank. Defaults to False.
        alpha (float): Opacity of the lesions' tint, 0..1. Defaults to 0.35.
        line_width (int): Of outlines, in pixels of the picture. Defaults to 1.
        min_size (int): Least length of a slice's shorter side in the picture, in pixels.
            Defaults to 512.
        outline_only (tuple[str, ...], optional): Lesion classes that are not tinted. Defaults to
            None: the lung.
        **kwargs: Of :class:`mmdet.visualization.DetLocalVisualizer`.
    """

    def __init__(
        self,
        name: str = 'visualizer',
        draw_attention: bool = False,
        alpha: float = 0.35,
        line_width: int = 1,
        min_size: int = 512,
        outline_only: tuple[str, ...] | None = None,
        **kwargs,
    ) -> None:
        super().__init__(name=name, alpha=alpha, line_width=line_width, **kwargs)
        self.draw_attention = draw_attention
        self.min_size = min_size
        self.outline_only = None if outline_only is None else tuple(outline_only)
        self._picture: np.ndarray | None = None  # last drawn
        self._num_artists = 0

    @master_only
    def add_datasample(
        self,
        name: str,
        image: np.ndarray,
        data_sample: DetDataSample | None = None,
        draw_gt: bool = True,
        draw_pred: bool = True,
        show: bool = False,
        wait_time: float = 0,
        out_file: str | None = None,
        pred_score_thr: float = 0.3,
        step: int = 0,
    ) -> None:
        """Draw a sample, then show it, write it to a file, or pass it to the backends.

        Args:
            name (str): Name of the picture.
            image (np.ndarray): The slice, (H, W) or (H, W, 3), 8 or more bits, RGB.
            data_sample (DetDataSample, optional): Prediction and ground truth; all its parts are
                optional. Defaults to None: only the slice is drawn.
            draw_gt (bool): Draw the ground truth if there is some. Defaults to True.
            draw_pred (bool): Draw the prediction. Defaults to True.
            show (bool): Show the picture in a window. Defaults to False.
            wait_time (float): For how many seconds; 0 means until a key is pressed.
            out_file (str, optional): File to write instead of using the backends.
            pred_score_thr (float): Lesions with lower scores are left out. Defaults to 0.3.
            step (int): Step to record with the backends. Defaults to 0.
        """
        sample = DetDataSample() if data_sample is None else data_sample.cpu()
        picture = self.draw(name, image, sample, draw_gt, draw_pred, pred_score_thr)
        self.set_image(picture)
        self._picture, self._num_artists = picture, len(self.ax_save.get_children())
        if show:
            self.show(picture, win_name=name, wait_time=wait_time)
        if out_file is not None:
            with atomic_path(out_file) as temporary:
                mmcv.imwrite(picture[..., ::-1], temporary)
        else:
            self.add_image(name, picture, step)

    def draw(
        self,
        name: str,
        image: np.ndarray,
        sample: DetDataSample,
        draw_gt: bool = True,
        draw_pred: bool = True,
        score_thr: float = 0.3,
    ) -> np.ndarray:
        """Make the picture of a sample; see :meth:`add_datasample`.

        Returns:
            np.ndarray: RGB, (H', W', 3), uint8: captioned slices side by side, then the panel.
        """
        path = sample.get('img_path')
        image = to_rgb8(at_full_depth(image, path))
        height, width = image.shape[:2]
        scale = display_scale(height, width, self.min_size)
        if scale > 1:
            image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)

        truth = sample.get('gt_instances') if draw_gt else None
        if truth is not None and (
            'labels' not in truth or (len(truth) == 0 and sample.get('task') != 'seg')
        ):
            truth = None  # packed samples without lesion annotation have empty instances
        found = sample.get('pred_instances') if draw_pred else None
        if found is not None and 'scores' in found:
            found = found[found.scores >= score_thr]
        rois = sample.get('roi_sequence') if draw_pred and self.draw_attention else None

        slices = {}
        if truth is not None:
            slices['Ground truth'] = self._with_lesions(image, truth, scale)
        if found is not None:
            slices['Prediction'] = self._with_lesions(image, found, scale)
        elif truth is None:
            slices['Slice'] = image
        if rois is not None:
            rois = WeightedRoIs.of(rois)
            for branch, caption in enumerate(rois.captions):
                slices[caption] = draw_rois(image, rois, branch, scale)

        size = int(np.clip(0.029 * min(image.shape[:2]), 14, 30))
        panel = SidePanel(size, image.shape[0] + round(1.9 * size))
        panel.text(Path(path).name if path else str(name), bold=True)
        if sample.get('patient_id') is not None:
            panel.text(f'Patient {sample.patient_id}', color=DIM, scale=0.9)
        self._tell_class(panel, sample, draw_gt, draw_pred)
        if truth is not None or found is not None:
            self._tell_lesions(panel, truth, found, score_thr)
        elif 'pred_label' in sample and draw_pred:
            panel.rule()
            panel.text('lesions not segmented', color=DIM, scale=0.9)
        if rois is not None:
            lesions = self._lesion_classes(() if rois.labels is None else rois.labels)
            tell_attention(
                panel,
                rois,
                lambda label: lesions[label].display_name,
                [lesion.color for lesion in lesions],
            )
        return _side_by_side(slices, panel.picture(), size)

    def get_image(self) -> np.ndarray:
        """The last drawn picture, RGB.

        Matplotlib, which takes ten times as long to give it back as it took to draw, is only
        asked if something was drawn upon it since.
        """
        untouched = len(self.ax_save.get_children()) == self._num_artists
        if self._picture is not None and untouched:
            return self._picture
        return super().get_image()

    def set_image(self, image: np.ndarray) -> None:
        """Set a picture to draw on, RGB; see the parent."""
        self._picture = None
        super().set_image(image)

    @property
    def classes(self) -> Classes:
        """The classes of ``dataset_meta``."""
        return Classes.from_meta(self.dataset_meta)

    def _lesion_classes(self, labels: Sequence[int] | np.ndarray) -> list[NamedClass]:
        """The lesion classes by label; labels beyond them are called by their number."""
        known = list(self.classes.lesions)
        number = max([len(known), *(int(label) + 1 for label in labels)])
        colors = get_palette('random', number)[len(known) :]
        return known + [
            NamedClass(str(label), str(label), LESION, as_color(int(value) for value in color))
            for label, color in enumerate(colors, len(known))
        ]

    def _is_outlined(self, lesion: NamedClass) -> bool:
        """Whether a class is not tinted."""
        if self.outline_only is None:
            return lesion.role == LUNG
        return lesion.name in self.outline_only

    def _with_lesions(self, image: np.ndarray, instances: InstanceData, scale: float) -> np.ndarray:
        """A copy of the slice with lungs and lesions on it."""
        image, size = image.copy(), image.shape[:2]
        labels = np.asarray(instances.labels)
        lesions = self._lesion_classes(labels)
        masks = mask_stack(instances, size)
        boxes = None
        if 'masks' not in instances and 'bboxes' in instances:
            boxes = np.asarray(getattr(instances.bboxes, 'tensor', instances.bboxes)) * scale
        line_width = max(1, round(self.line_width * min(size) / 512))
        # the lung is below the lesions
        for label in sorted(np.unique(labels), key=lambda label: lesions[label].role != LUNG):
            color, own = lesions[label].color, labels == label
            tinted = not self._is_outlined(lesions[label])
            if boxes is not None:
                draw_boxes(image, boxes[own], [color] * own.sum(), [line_width] * own.sum())
            else:
                draw_masks(image, masks[own], color, self.alpha if tinted else 0, line_width)
        return image

    def _tell_class(
        self, panel: SidePanel, sample: DetDataSample, draw_gt: bool, draw_pred: bool
    ) -> None:
        """Image-level class, its scores, and the true class."""
        pred = _as_int(sample.get('pred_label')) if draw_pred else None
        truth = _as_int(sample.get('gt_label')) if draw_gt else None
        if pred is None and truth is None:
            return
        scores = sample.get('pred_score')
        scores = np.asarray([] if scores is None else scores, float)
        panel.rule()
        panel.text('Image class', color=DIM, scale=0.9)
        if pred is not None:
            score = f'{scores[pred]:.2f}' if len(scores) else ''
            panel.text(self._image_class(pred), right=score, bold=True, scale=1.4)
            for k, share in enumerate(scores):
                panel.bar(self._image_class(k), share, f'{share:.2f}', TEXT if k == pred else DIM)
        if truth is not None:
            mark, color = (
                ('', TEXT) if pred is None else (('✓', RIGHT) if truth == pred else ('✗', WRONG))
            )
            panel.text(f'True class: {self._image_class(truth)}', right=mark, color=color)

    def _image_class(self, label: int) -> str:
        """Name of an image class as shown, its number if it has none."""
        images = self.classes.images
        return images[label].display_name if label < len(images) else str(label)

    def _tell_lesions(
        self,
        panel: SidePanel,
        truth: InstanceData | None,
        found: InstanceData | None,
        score_thr: float,
    ) -> None:
        """Legend of the lesion classes, with their number and best score."""
        panel.rule()
        heads = ['true'] * (truth is not None) + ['found', 'best'] * (found is not None)
        panel.columns('', heads, color=DIM)
        labels = [
            np.zeros(0, int) if part is None else np.asarray(part.labels) for part in (truth, found)
        ]
        for label, lesion in enumerate(self._lesion_classes(np.concatenate(labels))):
            cells = [str((labels[0] == label).sum())] * (truth is not None)
            if found is not None:
                own = labels[1] == label
                best = (
                    f'{float(found.scores[own].max()):.2f}'
                    if (own.any() and 'scores' in found)
                    else '–'
                )
                cells += [str(own.sum()), best]
            panel.columns(
                lesion.display_name,
                cells,
                swatch=lesion.color,
                filled=not self._is_outlined(lesion),
                color=TEXT if any(cell not in ('0', '–') for cell in cells) else DIM,
            )
        if found is not None:
            panel.text(f'found: score ≥ {score_thr:.2f}', color=DIM, scale=0.9)


def _as_int(label: torch.Tensor | int | None) -> int | None:
    """A label of shape (1,) or () as a number."""
    return None if label is None else int(torch.as_tensor(label).flatten()[0])


def _side_by_side(slices: dict[str, np.ndarray], panel: np.ndarray, size: int) -> np.ndarray:
    """Captioned slices and the panel in a row, filled up at the bottom."""
    columns = [
        np.concatenate([caption_strip(caption, image.shape[1], size), image])
        for caption, image in slices.items()
    ]
    columns.append(panel)
    height = max(column.shape[0] for column in columns)
    gap = np.full((height, size // 2, 3), BACKGROUND, np.uint8)
    parts = []
    for column in columns:
        missing = height - column.shape[0]
        filling = np.full((missing, column.shape[1], 3), BACKGROUND, np.uint8)
        parts += [np.concatenate([column, filling]), gap]
    return np.concatenate(parts[:-1], axis=1)
