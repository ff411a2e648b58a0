"""The worst errors, as pictures."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pycocotools.mask as mask_utils

from mmcovid.classes import Classes
from mmcovid.ct import read_slice
from mmcovid.drawing.slices import draw_masks, to_rgb8
from mmcovid.reporting import picture_uri
from mmcovid.results.evaluation import ClassError, EvaluationReport, LesionError

from .load import Models

SIDE = 240  # of a slice, in pixels
_GAP = 4
_TINT = 0.35

#: Data URI of each picture, or None where an image cannot be read.
Pictures = list[str | None]


@dataclass
class Gallery:
    """Pictures of a report's errors, by model, in the order of the errors."""

    errors: dict[str, Pictures] = field(default_factory=dict)
    lesion_errors: dict[str, Pictures] = field(default_factory=dict)

    @property
    def unread(self) -> int:
        """Number of images that cannot be read."""
        return sum(
            uri is None
            for kind in (self.errors, self.lesion_errors)
            for pictures in kind.values()
            for uri in pictures
        )


def draw_gallery(report: EvaluationReport, models: Models) -> Gallery:
    """Pictures of the errors of each model's first run.

    Args:
        report (EvaluationReport): Which errors, and in ``settings`` where images are.
        models (Models): The predictions that it is of.

    Returns:
        Gallery: The pictures.
    """
    settings = report.settings
    return Gallery(
        errors={
            name: draw_class_errors(errors, settings.image_root)
            for name, errors in report.errors.items()
        },
        lesion_errors={
            name: draw_lesion_errors(
                errors,
                models[name][0].lesions,
                models[name][0].classes,
                settings.score_thr,
                settings.image_root,
            )
            for name, errors in report.lesion_errors.items()
        },
    )


def draw_class_errors(errors: Iterable[ClassError], image_root: str | Path = '') -> Pictures:
    """The slices.

    Args:
        errors (Iterable[ClassError]): Which ones.
        image_root (str | Path): Folder that relative paths are below. Defaults to the working
            folder.

    Returns:
        Pictures: Of each error.
    """
    images = (read_thumbnail(Path(image_root, error.path)) for error in errors)
    return [None if image is None else picture_uri(image) for image in images]


def draw_lesion_errors(
    errors: Iterable[LesionError],
    lesions: Iterable[dict],
    classes: Classes,
    score_thr: float,
    image_root: str | Path = '',
) -> Pictures:
    """Each slice with its true beside that with its predicted lesions.

    Args:
        errors (Iterable[LesionError]): Which slices.
        lesions (Iterable[dict]): Dumped slices, these among them.
        classes (Classes): Of the model.
        score_thr (float): Least score of a predicted instance.
        image_root (str | Path): Folder that relative paths are below. Defaults to the working
            folder.

    Returns:
        Pictures: Of each error.
    """
    entries, pictures = {str(entry['img_id']): entry for entry in lesions}, []
    for error in errors:
        image = read_thumbnail(Path(image_root, error.path))
        pictures.append(
            None
            if image is None
            else picture_uri(_truth_beside_prediction(image, entries[error.id], classes, score_thr))
        )
    return pictures


def read_thumbnail(path: str | Path) -> np.ndarray | None:
    """A picture or CT slice with a longer side of 240 pixels, (h, w, 3) RGB uint8.

    None stands for a file that cannot be read.
    """
    try:
        image = to_rgb8(read_slice(path))
    except Exception:  # whatever a decoder raises: one bad file must not cost the report
        return None
    scale = SIDE / max(image.shape[:2])
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def _truth_beside_prediction(
    image: np.ndarray, entry: dict, classes: Classes, score_thr: float
) -> np.ndarray:
    """A slice twice, with true and with predicted lesions, (h, 2 w + 4, 3)."""
    pred = entry['pred_instances']
    true = [(item['bbox_label'], item['mask']) for item in entry['instances']]
    found = [
        (int(label), mask)
        for label, score, mask in zip(pred['labels'], pred['scores'], pred['masks'])
        if score >= score_thr
    ]
    gap = np.full((len(image), _GAP, 3), 255, np.uint8)
    return np.hstack(
        [_with_lesions(image, true, classes), gap, _with_lesions(image, found, classes)]
    )


def _with_lesions(
    image: np.ndarray, instances: Sequence[tuple[int, dict]], classes: Classes
) -> np.ndarray:
    """A copy of a slice with masks, (label, run-length encoding): lungs outlined, below the rest.

    A tinted lung would hide the lesions in it.
    """
    panel = image.copy()

    def lungs_first(instance: tuple[int, dict]) -> tuple[bool, int]:
        label, _ = instance
        return not classes.is_lung(label), label

    for label, mask in sorted(instances, key=lungs_first):
        mask = cv2.resize(mask_utils.decode(mask) * 255, image.shape[1::-1]) > 127
        color = classes.palette[label % len(classes.lesions)]
        draw_masks(panel, mask[None], color, 0 if classes.is_lung(label) else _TINT, 1)
    return panel
