"""A predictor of slices whose results are known; it needs no PyTorch."""

import numpy as np

from mmcovid.classes import Classes
from mmcovid.ct import read_volume
from mmcovid.results import Failure, Lesions, ModelInfo, RoISequence, SliceResult


class KnownPredictor:
    """Stands in for a model: each slice has the masks that a file of labels tells.

    Args:
        labels (Path): Volume of labels, 0 or 1 + class, on the grid of the scan.
        scores (list): Class scores of the slices.
        broken (tuple): Places of slices that cannot be read.
        distances (list): Of the slices from the training data.
        distance_threshold (float): Largest of slices that are like these.
        vectors (list): Image vectors of the slices.
        scan_rule (LearnedRule): For the class of a scan.
    """

    classes, device, temperature, precision = Classes.of(), 'cpu', 1.5, 'fp32'
    model_info = ModelInfo('known', config_sha256=None, weights=None, weights_sha256=None)

    def __init__(
        self,
        labels,
        scores=None,
        broken=(),
        distances=None,
        distance_threshold=None,
        vectors=None,
        scan_rule=None,
    ):
        self.labels = read_volume(labels).array
        self.scores = scores or [[0.2, 0.3, 0.5]] * len(self.labels)
        self.broken = broken
        self.distances = distances or [None] * len(self.labels)
        self.distance_threshold = distance_threshold
        self.vectors = [None] * len(self.labels) if vectors is None else vectors
        self.scan_rule = scan_rule

    def predict(self, paths, batch_size=1, score_thr=0.0):
        for i, path in enumerate(paths):
            if i in self.broken:
                yield Failure(path, 'truncated')
                continue
            masks = np.stack([self.labels[i] == k for k in (1, 2, 3, 3)])
            scores = np.array([0.9, 0.8, 0.7, 0.1])
            kept = scores >= score_thr
            lesions = Lesions(
                np.array([0, 1, 2, 0])[kept],
                scores[kept],
                np.array([[1.0, 2, 3, 4]] * 4)[kept],
                masks[kept],
            )
            rois = RoISequence(
                np.array([[1.0, 2, 7, 8]] * 2),
                np.array([1, 2]),
                np.array([0.8, 0.7]),
                np.array([[0.4, 0.5], [0.6, 0.5]]),
            )
            yield SliceResult(
                path,
                lesions,
                np.array(self.scores[i]),
                roi_sequence=rois,
                window=(-600, 1500),
                feature_distance=self.distances[i],
                image_vector=self.vectors[i],
            )
