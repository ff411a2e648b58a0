from dataclasses import dataclass

import numpy as np


@dataclass
class Lesions:
    """The n lesions of a slice, with lungs among them; boxes and masks in its pixels."""

    labels: np.ndarray  #: (n,), int, see :class:`mmcovid.classes.Classes`
    scores: np.ndarray  #: (n,), float
    bboxes: np.ndarray  #: (n, 4), x1, y1, x2, y2
    masks: np.ndarray  #: (n, H, W), bool


@dataclass
class RoISequence:
    """The β regions of interest (RoIs) that the class of a slice was read from, in their order."""

    bboxes: np.ndarray  #: (β, 4), x1, y1, x2, y2 in pixels of the slice
    labels: np.ndarray  #: (β,), int, lesion classes
    scores: np.ndarray  #: (β,), float
    attention: np.ndarray  #: (β,), or (β, 2): class-relevant and class-irrelevant branch


@dataclass
class SliceResult:
    """What a model says of one slice."""

    path: str  #: file, or slice of a volume (``scan.nrrd#012``)
    lesions: Lesions | None = None  #: None of a model that does not segment
    class_scores: np.ndarray | None = None  #: (K,); None of a model that does not classify
    class_logits: np.ndarray | None = None  #: (K,)
    roi_sequence: RoISequence | None = None  #: None of a model without attention
    window: tuple[float, float] | None = None  #: level and width in HU, of a CT
    #: Mahalanobis distance from the training slices; None of a model that does not know them
    feature_distance: float | None = None
    #: (D,): what the image head reads the class from; None of files of former versions
    image_vector: np.ndarray | None = None


def just_below(score: float) -> np.float32:
    """The threshold that lesions of this score or more are above: detectors keep what is above."""
    return np.nextafter(np.float32(score), np.float32(-np.inf))
