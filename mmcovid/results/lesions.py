"""What a comparison of segmented scans with true label maps found.

``report.json`` of ``mmcovid lesions`` is a :class:`LesionReport`. A *model* is the name that the
user gave; a *target* is what is compared: ``'lesions'``, all lesion classes together, or one class.
"""

from dataclasses import dataclass, field

from .estimate import FloatOrNan
from .evaluation import Figures
from .scan import LEAST_LESION_ML

SCHEMA_VERSION = 1


@dataclass
class LesionSettings:
    """What a comparison is to contain; see the options of ``mmcovid lesions``."""

    iou: float = 0.1  #: least overlap of a found lesion with the true one that it hits
    tolerance_mm: float = 2.0  #: of surfaces
    #: smaller 3-D lesions count nowhere but in volumes and overlap
    least_lesion_ml: float = LEAST_LESION_ML
    rounds: int = 2000
    seed: int = 0


@dataclass
class TargetFigures:
    """A target in one scan."""

    true_ml: float
    found_ml: float
    both_ml: float
    #: nan where the target is in neither; distances where it is not in both
    dice: FloatOrNan
    hd95: FloatOrNan
    assd: FloatOrNan
    nsd: FloatOrNan


@dataclass
class ComparedLesion:
    """A 3-D lesion of the truth or of a model."""

    scan: str
    class_: str  #: that most of its voxels are of
    ml: float
    score: float | None  #: of a found one; None of a model that tells none
    iou: float  #: with the lesion of the other side that it is matched with, else the largest
    matched: bool
    side: str | None
    third: str | None
    depth: str | None


@dataclass
class ComparedScan:
    """A scan as a model segmented it."""

    scan: str
    patient: str
    targets: dict[str, TargetFigures]
    true_lesions: int
    found_lesions: int
    hits: int  #: found lesions that are matched with a true one
    true_left_out: int  #: true lesions that are too small
    found_left_out: int
    pairs: int  #: that overlap by more than half, for the panoptic quality
    iou_sum: float  #: of these pairs
    unplaced: int  #: scores of a table that are of no lesion


@dataclass
class FrocCurve:
    """Sensitivity against false positives, of all thresholds between scores."""

    fp_per_scan: list[float]
    sensitivity: list[float]


@dataclass
class ModelLesions:
    """All of one model."""

    source: str  #: name of its folder
    scored: bool  #: whether its lesions have scores
    figures: dict[str, Figures]  #: by target
    #: number of scans behind a figure, by target, of figures that are means of scans
    defined: dict[str, dict[str, int]]
    froc: FrocCurve | None
    scans: list[ComparedScan]
    true: list[ComparedLesion]  #: of all scans, the largest of each first
    found: list[ComparedLesion]


@dataclass(kw_only=True)
class LesionReport:
    """Segmented scans of one or more models against the truth, with 95 % confidence intervals."""

    schema_version: int = SCHEMA_VERSION
    settings: LesionSettings
    classes: list[str]  #: of label 1 and up
    truth: str  #: name of its folder
    scans: int
    patients: int
    true_lesions: int
    models: dict[str, ModelLesions]
    #: from the first model, by model and target
    differences: dict[str, dict[str, Figures]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)  #: what a reader has to know
