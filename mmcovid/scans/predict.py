"""Predict the slices of a scan, painting its label map on the way."""
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from rich.progress import track

from mmcovid.apis import OneShotInferencer
from mmcovid.ct import CTVolume, find_slice, list_slices

from .inputs import Scan


@dataclass
class Slice:
    """What is kept of a slice's prediction: its instance masks are not."""

    index: int  #: place in the scan
    path: str
    labels: np.ndarray | None  #: label map, (H, W) uint8: 0, or 1 + lesion class
    instances: list[dict]  #: ``label``, ``score``, ``bbox`` (pixels), ``pixels`` (of the mask)
    scores: np.ndarray | None  #: class scores, (K,)
    rois: InstanceData | None  #: RoI sequence


@dataclass
class Prediction:
    """What was predicted of a scan."""

    slices: list[Slice]  #: those that could be read, in the order of the scan
    number: int  #: of slices of the scan
    volume: CTVolume | None  #: what it was predicted from; None for pictures
    window: tuple[float, float] | None  #: level and width, in HU
    errors: list[dict] = field(default_factory=list)  #: ``input`` and ``reason``

    def label_map(self) -> np.ndarray:
        """Label map of a volume, (Z, H, W) uint8; slices that failed are 0."""
        labels = np.zeros(self.volume.array.shape, np.uint8)
        for each in self.slices:
            labels[each.index] = each.labels
        return labels


def predict_scan(inferencer: OneShotInferencer, scan: Scan, score_thr: float = 0.3,
                 batch_size: int = 1, show_progress: bool = False) -> Prediction:
    """Predict all slices of a scan.

    Args:
        inferencer (OneShotInferencer): Model and pipeline.
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
    place = {path: i for i, path in enumerate(paths)}
    slices, window = [], None
    stream = inferencer.stream(paths, batch_size)
    for sample in track(stream, scan.path, total=len(paths), disable=not show_progress):
        slices.append(_keep(sample, place[sample.img_path], score_thr))
        window = sample.get('window')
    if not slices:
        raise ValueError(inferencer.errors[0]['reason'] + (
            f' (and {len(paths) - 1} more)' if len(paths) > 1 else ''))
    return Prediction(slices, len(paths), volume, window, inferencer.errors)


def paint(masks: np.ndarray, labels: Sequence[int]) -> np.ndarray:
    """A label map of instance masks; where they overlap, the higher class is above.

    Args:
        masks (np.ndarray): (n, H, W), bool.
        labels (Sequence[int]): Lesion classes, (n,).

    Returns:
        np.ndarray: (H, W) uint8, 0 where there is no instance, else 1 + its class.
    """
    painted, labels = np.zeros(masks.shape[1:], np.uint8), np.asarray(labels)
    for label in np.unique(labels):
        painted[masks[labels == label].any(0)] = label + 1
    return painted


def _keep(sample: DetDataSample, index: int, score_thr: float) -> Slice:
    sample = sample.cpu()
    kept = Slice(index, sample.img_path, None, [], None, sample.get('roi_sequence'))
    if 'pred_score' in sample:
        kept.scores = sample.pred_score.double().numpy()
        if not np.isfinite(kept.scores).all():
            raise ValueError(f'{sample.img_path}: its scores are not finite: the weights have '
                             'probably diverged. Take those of an earlier iteration.')
    found = sample.get('pred_instances')
    if found is not None and 'masks' in found:
        found = found[found.scores >= score_thr].numpy()
        masks = found.masks.astype(bool)
        kept.labels = paint(masks, found.labels)
        kept.instances = [
            dict(label=int(label), score=float(score), bbox=bbox.tolist(), pixels=int(mask.sum()))
            for label, score, bbox, mask in zip(found.labels, found.scores, found.bboxes, masks)]
    return kept
