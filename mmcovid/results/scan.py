"""What ``results.json`` of a scan holds; ``docs/en/scan.md`` explains it field by field."""

from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Final, Literal

from mmcovid.utils.files import to_plain

from .failure import Failure

#: It changes when a field goes or changes its meaning, not when one is added.
SCHEMA_VERSION: Final = 1
#: Of a ball of 6 mm, the smallest nodule that is followed up (Fleischner Society, 2017).
LEAST_LESION_ML = 0.1


@dataclass(frozen=True)
class ScanInfo:
    """What was predicted. It holds nothing of the patient but what its name tells."""

    path: str  #: name, or the path as it was given if that was asked for
    kind: str  #: ``volume``, ``dicom`` or ``pictures``
    num_slices: int
    size: tuple[int, int, int] | None  #: x, y, z; None of pictures, as what follows
    spacing_mm: tuple[float, float, float] | None  #: x, y, z
    window_hu: tuple[float, float] | None  #: level and width
    series_uid: str | None
    path_sha256: str  #: of the absolute path, by which a scan is known again


@dataclass(frozen=True)
class ModelInfo:
    """What predicted."""

    name: str
    config_sha256: str | None
    weights: str | None  #: file, as ``path`` of the scan; None of random weights
    weights_sha256: str | None


@dataclass(frozen=True)
class ScanModel(ModelInfo):
    """What predicted, with its classes."""

    classes: tuple[str, ...]  #: of lesions
    image_classes: tuple[str, ...]


@dataclass(frozen=True)
class ScanSettings:
    """How a scan was predicted and summed up."""

    score_thr: float
    aggregate: str
    region: str
    abstain_below: float | None
    batch_size: int
    temperature: float | None
    precision: str  #: fp32, bf16 or int8
    device: str
    abstain_unfamiliar: bool = False  #: whether what is unlike the training data gets no class
    #: share of each class that the scores of a scan are corrected for; None if they are not
    prevalence: dict[str, float] | None = None
    set_coverage: float | None = None  #: share of each class that prediction sets are to hold
    set_thresholds: dict[str, float] | None = None  #: score that puts a class into the set
    least_lesion_ml: float = LEAST_LESION_ML  #: smaller 3-D lesions are counted, but not listed


@dataclass(frozen=True)
class ScanClass:
    """The class of a scan, and the rules that it was read by."""

    class_: str  #: ``undecided`` if its score is too low, or the scan not familiar enough
    decided: bool
    leading_class: str
    score: float  #: of the leading class
    scores: dict[str, float]
    abstain_below: float | None
    aggregate: str
    region: str
    num_slices: int  #: that it was read from, as the first and the last are
    first_slice: int
    last_slice: int
    #: classes that the scan may be of; None without decision rules
    prediction_set: tuple[str, ...] | None = None


@dataclass(frozen=True)
class ScanFamiliarity:
    """How far a scan is from the training data, by the slices that its class is read from."""

    familiar: bool  #: whether the distance is at most the threshold
    distance: float  #: mean of the slices; see :class:`SliceResult`
    threshold: float  #: of the model
    num_unfamiliar: int  #: slices whose own distance is above it
    num_slices: int


@dataclass(frozen=True)
class ClassVolume:
    """How much there is of a lesion class."""

    voxels: int
    ml: float | None  #: None of pictures
    share_of_lung: float | None  #: None without a lung


@dataclass(frozen=True)
class Lesion3D:
    """What touches in the label maps of all slices, lesion classes together."""

    class_: str  #: that most of its voxels are of
    score: float | None  #: the highest of its instances in slices
    voxels: int
    ml: float
    ml_by_class: dict[str, float]
    first_slice: int  #: the one closest to the feet
    last_slice: int
    voxel: tuple[int, int, int]  #: one of it: column, row, slice, by which it is found again
    side: str | None = None  #: of the patient: ``right``, ``left`` or ``both``; None without a lung
    third: str | None = None  #: of the lung's height: ``lower``, ``middle`` or ``upper``
    depth: str | None = None  #: ``peripheral`` or ``central``
    depth_mm: float | None = None  #: mean distance of its voxels from the lung's surface


@dataclass(frozen=True)
class LungZone:
    """A third of the height of one lung."""

    side: str
    third: str
    lung_ml: float  #: its lesions included
    lesion_ml: float
    share: float | None  #: of the lesions; None where there is no lung
    grade: int  #: of the share: 0, or 1 to 4 for each quarter that it reaches into


@dataclass(frozen=True)
class Lesions3D:
    """The 3-D lesions of a scan, and how much of the lung they take."""

    count: int  #: of those that are listed
    left_out: int  #: smaller ones
    load_score: int | None  #: sum of the grades of the zones, 0 to 24; None without a lung
    zones: list[LungZone] | None
    lesions: list[Lesion3D]  #: the largest first


@dataclass(frozen=True)
class MeasuredLesion:
    """An instance of one slice."""

    class_: str
    score: float
    bbox: list[float]  #: x1, y1, x2, y2 in pixels
    pixels: int  #: of its own mask, overlaps included
    area_mm2: float | None  #: None of pictures


@dataclass(frozen=True)
class MeasuredRoIs:
    """The RoIs that the class of a slice was read from; see :class:`RoISequence`."""

    bboxes: list[list[float]]
    labels: list[int]
    scores: list[float]
    attention: list[float] | list[list[float]]


@dataclass(frozen=True)
class ScanSlice:
    """Everything about a slice. What its model does not tell is None here, absent in JSON."""

    index: int  #: place in the scan, from 0
    path: str
    z_mm: float | None  #: position in the patient; None of pictures
    in_region: bool  #: whether the class of the scan was read from it
    class_: str | None = None
    decided: bool | None = None
    leading_class: str | None = None
    score: float | None = None
    scores: dict[str, float] | None = None
    pixels: dict[str, int] | None = None  #: by lesion class, the lung with its lesions
    area_mm2: dict[str, float | None] | None = None
    lesions: list[MeasuredLesion] | None = None
    roi_sequence: MeasuredRoIs | None = None
    feature_distance: float | None = None
    familiar: bool | None = None
    weight: float | None = None  #: in the class of the scan, by the learned rule; they sum to 1


@dataclass(frozen=True)
class ScanResults:
    """Everything about a scan as numbers."""

    schema_version: Literal[1]
    complete: bool  #: whether all slices were read
    scan: ScanInfo
    errors: list[Failure]  #: slices that could not be read
    classification: ScanClass | None  #: None if the model does not classify
    #: None if the model does not know its training data
    familiarity: ScanFamiliarity | None
    volumes: dict[str, ClassVolume] | None  #: None if the model does not segment
    #: None of pictures, too: nothing tells that they are neighbours
    lesions_3d: Lesions3D | None = field(default=None, kw_only=True)
    suspicious_slices: list[int]
    notes: list[str]  #: what a reader should know
    model: ScanModel
    settings: ScanSettings
    files: dict[str, str]  #: what each file of masks, and of vectors, holds
    software: dict[str, str]  #: versions
    created: str  #: UTC
    slices: list[ScanSlice]  #: in the order of the scan; long, and so the last

    def to_plain(self) -> dict[str, Any]:
        """What ``results.json`` holds, as plain values."""
        plain = to_plain(self)
        plain['slices'] = [_without_untold(row) for row in plain['slices']]
        return plain


#: What a slice has in JSON only if its model tells it.
_OPTIONAL = {
    field.name.removesuffix('_') for field in fields(ScanSlice) if field.default is not MISSING
}


def _without_untold(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if value is not None or key not in _OPTIONAL}
