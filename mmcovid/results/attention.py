from dataclasses import dataclass

from .estimate import Estimate


@dataclass(frozen=True)
class AttentionSettings:
    """What an attention report is to contain."""

    counts: tuple[int, ...] = (1, 2, 4, 8)  #: numbers of RoIs to drop
    draws: int = 10  #: random drops of each number
    rounds: int = 2000  #: resamples of patients
    seed: int = 0  #: of all that is drawn
    score_thr: float = 0.3  #: least score of the lungs and lesions that make the lung field
    max_slices: int | None = None  #: look at so many, drawn at random; None: at all
    gallery: int = 6  #: slices to draw


@dataclass(frozen=True)
class ExplainedModel:
    """The model that a report is of."""

    config: str  #: name of the file
    config_sha256: str  #: of the config with all that it inherits
    checkpoint: str  #: name of the file
    checkpoint_sha256: str


@dataclass(frozen=True)
class AttentionSetSize:
    """What a set holds, and what figures of it cannot use."""

    slices: int
    patients: int
    slices_without_patient: int
    rois: int  #: length β of a sequence
    branches: tuple[str, ...]  #: of the attention
    groups: dict[str, int]  #: slices of each group, such as ``true cp``
    with_repeats: int  #: slices with fewer than β RoIs, some of them repeated
    no_lung_found: int
    one_lung_found: int
    with_true_lesions: int


@dataclass(frozen=True)
class AttentionShare:
    """How much of the attention RoIs of one kind have, in one group of slices."""

    kind: str  #: ``lesion class``, ``region`` or ``truth``
    group: str
    name: str  #: of the class or region, or ``true lesion``
    branch: str
    slices: int  #: of which it is known
    attention: Estimate  #: share of the attention
    even: Estimate  #: share that even weights would give
    ratio: Estimate  #: of the two


@dataclass(frozen=True)
class AttentionOrder:
    """Weights of a branch by place and score, and how far they are spread."""

    by_place: list[Estimate]  #: mean weight of each place of the sequence
    by_score: list[Estimate]  #: mean weight of each rank of the detection score
    place_correlation: Estimate  #: Spearman's, of place and weight
    score_correlation: Estimate
    explained_by_place: Estimate  #: share of the variance of the weights
    effective_rois: Estimate  #: exponential of the entropy, 1 to β
    largest_weight: Estimate


@dataclass(frozen=True)
class Pointing:
    """How often the heaviest RoI of a branch is centred in a true lesion."""

    slices: int  #: with true lesions
    hit: Estimate
    chance: Estimate  #: of a RoI taken at random
    difference: Estimate


@dataclass(frozen=True)
class DeletionEffect:
    """What one measure says of dropping k RoIs."""

    ranking: str  #: what RoIs were ranked by: a branch, or the detection score
    dropped: int  #: number of RoIs k
    measure: str  #: ``score_drop``, ``logit_drop`` or ``flipped``
    slices: int  #: that have so many RoIs
    too_few_rois: int  #: slices that do not
    top: Estimate  #: the heaviest dropped
    bottom: Estimate  #: the lightest dropped
    random: Estimate
    top_minus_random: Estimate
    top_minus_bottom: Estimate


@dataclass(frozen=True)
class AttentionSet:
    """Figures of one set of slices."""

    set: AttentionSetSize
    shares: list[AttentionShare]
    order: dict[str, AttentionOrder]  #: by branch
    pointing: dict[str, Pointing]  #: by branch; of a set without true lesions empty
    deletion: list[DeletionEffect]


@dataclass(frozen=True, kw_only=True)
class AttentionReport:
    """What ``attention.json`` holds."""

    schema_version: int = 2
    settings: AttentionSettings
    model: ExplainedModel
    software: dict[str, str]  #: versions by name
    classes: tuple[str, ...]  #: of whole slices
    lesion_classes: tuple[str, ...]
    notes: list[str]  #: what figures leave out
    sets: dict[str, AttentionSet]  #: by task, ``cls`` and ``seg``
