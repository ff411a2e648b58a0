"""Predict the slices of a scan, painting its label map on the way."""

from dataclasses import dataclass, field

import cv2
import numpy as np
from rich.markup import escape
from rich.progress import track

from mmcovid.classes import Classes
from mmcovid.ct import CTVolume, find_slice, list_slices
from mmcovid.results import Failure, Lesions, RoISequence, SliceResult
from mmcovid.scan_class import LearnedRule
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
    #: Row and column of a pixel in each piece of the label map's lesions that the mask reaches, by
    #: which the score of a 3-D lesion is found; none of a lung
    points: list[tuple[int, int]] = field(default_factory=list)


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
    vector: np.ndarray | None = None  #: image vector, (D,)


@dataclass
class Prediction:
    """What was predicted of a scan."""

    slices: list[Slice]  #: those that could be read, in the order of the scan
    number: int  #: of slices of the scan
    volume: CTVolume | None = None  #: what it was predicted from; None for pictures
    window: tuple[float, float] | None = None  #: level and width, in HU
    failures: list[Failure] = field(default_factory=list)  #: slices that could not be read
    distance_threshold: float | None = None  #: see :class:`SlicePredictor`
    scan_rule: LearnedRule | None = None  #: see :class:`SlicePredictor`

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
    prediction = Prediction(
        [],
        len(paths),
        volume,
        distance_threshold=predictor.distance_threshold,
        scan_rule=predictor.scan_rule,
    )
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
        vector=result.image_vector,
    )
    if result.lesions is not None:
        kept.labels = paint(result.lesions.masks, result.lesions.labels, classes)
        kept.instances = _instances(result.lesions, classes)
    return kept


def _instances(lesions: Lesions, classes: Classes) -> list[Instance]:
    """One for each mask."""
    ill = np.array([not classes.is_lung(label) for label in lesions.labels], bool)
    _, pieces = cv2.connectedComponents(lesions.masks[ill].any(0).astype(np.uint8), connectivity=8)
    return [
        Instance(
            int(label),
            float(score),
            bbox.tolist(),
            int(mask.sum()),
            _points(mask, pieces) if is_ill else [],
        )
        for label, score, bbox, mask, is_ill in zip(
            lesions.labels, lesions.scores, lesions.bboxes, lesions.masks, ill
        )
    ]


def _points(mask: np.ndarray, pieces: np.ndarray) -> list[tuple[int, int]]:
    """Row and column of the first pixel of a mask in each piece, (H, W) int, that it reaches."""
    rows, columns = np.nonzero(mask)
    _, first = np.unique(pieces[rows, columns], return_index=True)
    return list(zip(rows[first].tolist(), columns[first].tolist()))
