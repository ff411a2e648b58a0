"""What is kept of each slice whose attention is looked at."""

from dataclasses import dataclass, field

import numpy as np

from mmcovid.drawing.rois import BRANCHES

from .deletion import Deletion


@dataclass
class SliceAttention:
    """The RoI sequence of one slice, with what its RoIs are and what dropping them does.

    Boxes are in pixels of the original slice. Shares are of the pixels of each box; they are nan
    where the model found no lung, or where nothing is known of true lesions.
    """

    img_id: str
    img_path: str
    task: str  #: 'cls' or 'seg'
    patient_id: str
    scan_id: str
    truth: int | None  #: true class, of class-labelled slices
    pred: int
    boxes: np.ndarray  #: (β, 4)
    labels: np.ndarray  #: (β,)
    scores: np.ndarray  #: (β,)
    weights: np.ndarray  #: (β, branches)
    regions: np.ndarray  #: (β, 7), share of each box in each of the regions
    in_lesion: np.ndarray  #: (β,), share of each box in true lesions
    centred: np.ndarray  #: (β,), 1 where the centre of a box is in a true lesion
    deletions: list[Deletion] = field(default_factory=list)

    @property
    def branches(self) -> tuple[str, ...]:
        """Names of the attention branches; a single one is called 'attention'."""
        return BRANCHES if self.weights.shape[1] == 2 else ('attention',)
