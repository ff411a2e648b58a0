"""Predict the slices of a scan, painting its label map on the way."""

from dataclasses import dataclass, field

import numpy as np
from rich.markup import escape
from rich.progress import track

from mmcovid.classes import Classes
from mmcovid.ct import CTVolume, find_slice, list_slices
from mmcovid.results import Failure, Lesions, RoISequence, SliceResult
from mmcovid.utils.ahead import ahead
from mmcovid.utils.escape import printable

from .inputs import Scan
from .label_maps import paint
from .predictor import SlicePredictor


@dataclass(frozen=True)
class Instance:
    """A lesion or lung of a slice, without its mask."""

    label: int  #: lesion class
    score: float
    bbox: list[float]  #: x1, y1, x2, y2 in pixels
    pixels: int  #: of the mask


@dataclass
class Slice:
    """What is kept of a slice's result: its instance masks are not."""

    index: int  #: place in the scan
    path: str
    labels: np.ndarray | None = None  #: label map, (H, W) uint8: 0, or 1 + lesion class
    instances: list[Instance] = field(default_factory=list)
    scores: np.ndarray | None = None  #: class scores, (K,)
    rois: RoISequence | None = None
    feature_distance: float | None = None


@dataclass
class Prediction:
    """What was predicted of a scan."""

    slices: list[Slice]  #: those that could be read, in the order of the scan
    number: int  #: of slices of the scan
    volume: CTVolume | None = None  #: what it was predicted from; None for pictures
    window: tuple[float, float] | None = None  #: level and width, in HU
    failures: list[Failure] = field(default_factory=list)  #: slices that could not be read
    distance_threshold: float | None = None  #: see :class:`SlicePredictor`

    def label_map(self) -> np.ndarray:
        """Label map of a volume, (Z, H, W) uint8; slices that failed are 0."""
        if self.volume is None:
            raise ValueError('pictures have no label map of a volume')
        labels = np.zeros(self.volume.array.shape, np.uint8)
        for kept in self.slices:
            if kept.labels is not None:
                labels[kept.index] = kept.labels
        return labels


def predict_scan(
    predictor: SlicePredictor,
    scan: Scan,
    score_thr: float = 0.3,
    batch_size: int = 1,
    show_progress: bool = False,
) -> Prediction:
    """Predict all slices of a scan.

    Args:
        predictor (SlicePredictor): Model and pipeline.
        scan (Scan): What to predict.
        score_thr (float): Least score of instances. Defaults to 0.3.
        batch_size (int): Slices in one pass. Defaults to 1.
        show_progress (bool): Show a progress bar. Defaults to False.

    Returns:
        Prediction: Of all slices that could be read.

    Raises:
        OSError, ValueError: The scan cannot be read, not one slice of it can, or the scores are
            not finite.
    """
    paths = list(scan.pictures) or list_slices(scan.path)
    volume = None if scan.pictures else find_slice(paths[0])[0]
    prediction = Prediction([], len(paths), volume, distance_threshold=predictor.distance_threshold)
    # while a slice is predicted, the one before it is painted
    results = ahead(predictor.predict(paths, batch_size, score_thr))
    stream = zip(paths, results, strict=True)
    tracked = track(
        stream, escape(printable(scan.source, keep='')), total=len(paths), disable=not show_progress
    )
    for index, (path, result) in enumerate(tracked):
        if isinstance(result, Failure):
            prediction.failures.append(result)
            continue
        prediction.slices.append(_keep(result, index, path, predictor.classes))
        prediction.window = result.window
    if not prediction.slices:
        raise ValueError(
            prediction.failures[0].reason
            + (f' (and {len(paths) - 1} more)' if len(paths) > 1 else '')
        )
    return prediction


def _keep(result: SliceResult, index: int, path: str, classes: Classes) -> Slice:
    if result.class_scores is not None and not np.isfinite(result.class_scores).all():
        raise ValueError(
            f'{path}: its scores are not finite: the weights have probably '
            'diverged. Take those of an earlier iteration.'
        )
    kept = Slice(
        index,
        path,
        scores=result.class_scores,
        rois=result.roi_sequence,
        feature_distance=result.feature_distance,
    )
    if result.lesions is not None:
        kept.labels = paint(result.lesions.masks, result.lesions.labels, classes)
        kept.instances = _instances(result.lesions)
    return kept


def _instances(lesions: Lesions) -> list[Instance]:
    """One for each mask."""
    return [
        Instance(int(label), float(score), bbox.tolist(), int(mask.sum()))
        for label, score, bbox, mask in zip(
            lesions.labels, lesions.scores, lesions.bboxes, lesions.masks
        )
    ]
