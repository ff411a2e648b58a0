"""What an evaluation of dumped predictions found.

``report.json`` is an :class:`EvaluationReport`. In its dicts a *level* is what is scored:
``'slice'``, the unit that slices are grouped into (``'patient'`` or ``'scan'``), or ``'lesion'``.
A *model* is the name that the user gave, a *figure* such as ``'accuracy'`` or
``'covid19_sensitivity'``. Of several training runs of a model figures are means; what shows single
slices is of its first run.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from mmcovid.classes import Classes, NamedClass

from .estimate import Estimate, FloatOrNan

Figures = dict[str, Estimate]  #: by name


@dataclass
class EvaluationSettings:
    """What a report is to contain; see the options of ``mmcovid report``."""

    unit: str = 'patient'
    aggregate: str = 'mean'
    rounds: int = 2000
    seed: int = 0
    score_thr: float = 0.3
    abstain_below: float | None = None
    #: shares by class, or ``counts`` or ``em``: as estimated from the predictions
    prevalence: str | None = None
    set_coverage: float = 0.9  #: share of each class that prediction sets are to hold
    metadata: str | None = None
    subgroups: Sequence[str] = ()
    gallery: int = 12
    image_root: str = ''


@dataclass
class InputFile:
    """A file of predictions."""

    model: str
    file: str  #: its name, without folder
    sha256: str
    slices: int  #: class-labelled ones that are scored
    lesion_slices: int  #: with true lesions, that are scored
    left_out: dict[str, int]  #: number of slices that are not scored, by reason


@dataclass
class SetSize:
    """How much a set holds."""

    cases: int
    patients: int
    per_class: list[int]  #: true cases, or true lesions, of each class


@dataclass
class CalibrationFigures:
    """How far scores are from probabilities; less is better."""

    brier: Estimate
    ece: Estimate  #: without interval, as resampling inflates it
    nll: Estimate


@dataclass
class ReliabilityBins:
    """Confidence against accuracy, in bins of equal width from 0 to 1; B of them."""

    confidence: list[FloatOrNan]  #: mean of the cases of a bin, (B,); nan in empty ones
    accuracy: list[FloatOrNan]  #: of the cases of a bin, (B,); nan in empty ones
    count: list[int]  #: cases in a bin, (B,)


@dataclass
class CalibrationRun:
    """Calibration of a training run, and the temperature that was fitted for it, if one was."""

    before: CalibrationFigures
    bins: ReliabilityBins
    temperature: float | None = None
    nll_before: float | None = None  #: of the validation slices
    nll_after: float | None = None
    note: str | None = None  #: '' or why the temperature is left at 1
    file: str | None = None  #: validation predictions that it was fitted on
    slices: int | None = None  #: of this file
    after: CalibrationFigures | None = None
    bins_after: ReliabilityBins | None = None

    @property
    def is_scaled(self) -> bool:
        """Whether a temperature was asked for."""
        return self.temperature is not None


@dataclass
class AbstentionRow:
    """What remains if cases of a confidence below a threshold are left to a reader."""

    threshold: float
    chosen: bool  #: by the user; other thresholds are those of a coverage
    kept: int  #: cases
    coverage: Estimate  #: share of the cases
    accuracy: Estimate  #: on them


@dataclass
class SelectiveRisk:
    """Errors among the most confident cases."""

    aurc: Estimate  #: area under the risk-coverage curve, the mean risk over all coverages
    error: Estimate  #: of all cases, which a confidence that tells nothing has as AURC
    coverage: list[float]  #: (M,)
    risk: list[Estimate]  #: at each coverage, (M,)


@dataclass
class ClassPrevalence:
    """How often a class is met, and what is said of it without a look at the truth."""

    validation: float  #: share of the validation cases
    test: float  #: share of the test cases
    predicted: Estimate  #: share of the test cases that are predicted as the class
    by_counts: Estimate  #: this, adjusted by the errors on the validation cases
    by_em: Estimate  #: by expectation-maximisation of the calibrated scores


@dataclass
class PredictiveValues:
    """Figures of a set of the stated prevalence, with the errors of this one."""

    as_predicted: Figures
    #: of scores for this prevalence; None without a validation set
    corrected: Figures | None = None


@dataclass
class NetBenefit:
    """What acting on scores from a threshold on gains, in true positives by case."""

    threshold: float
    net_benefit: Estimate
    treat_all: float  #: net benefit of acting on everyone

    @property
    def gain(self) -> Estimate:
        """Over the better one of acting on everyone and on nobody."""
        default = max(self.treat_all, 0)
        found = self.net_benefit
        return Estimate(found.value - default, found.low - default, found.high - default)


@dataclass
class ClassSets:
    """How often the prediction sets hold a class where it is the true one."""

    threshold: float  #: score from which on the class is in a set
    cases: int  #: of the validation set that it was chosen on
    patients: int  #: of these cases
    coverage: Estimate  #: share of the test cases of the class whose set holds it


@dataclass
class PredictionSets:
    """Conformal prediction sets of a level."""

    classes: list[ClassSets]  #: (K,)
    size: Estimate  #: mean number of classes in a set
    single: Estimate  #: share of the sets of one class
    empty: Estimate  #: share of the sets of none


@dataclass
class Subgroup:
    """Slices of one value of a metadata column."""

    slices: int
    patients: int
    per_class: list[int]
    figures: dict[str, Figures]  #: by model


@dataclass
class ClassError:
    """A slice of which a model was sure, and wrong."""

    id: str
    path: str  #: of the image; '' if the dump does not tell
    truth: int  #: label
    pred: int  #: label
    score: float  #: of the predicted class
    true_score: float  #: of the true class


@dataclass
class LesionError:
    """A slice whose lesions were segmented badly."""

    id: str
    path: str  #: of the image; '' if the dump does not tell
    dice: dict[str, float]  #: by class, of those in truth or prediction


@dataclass(kw_only=True)
class EvaluationReport:
    """Figures of one or more models on one test set, with 95 % confidence intervals."""

    schema_version: int = 2
    settings: EvaluationSettings
    classes: Classes
    reference: str  #: model that the others are compared with
    inputs: list[InputFile]
    notes: list[str] = field(default_factory=list)  #: what a reader has to know
    sets: dict[str, SetSize] = field(default_factory=dict)  #: by level
    #: by level and model
    figures: dict[str, dict[str, Figures]] = field(default_factory=dict)
    #: from the reference, by level and model
    differences: dict[str, dict[str, Figures]] = field(default_factory=dict)
    #: by level and model: (K, K), rows are the true classes
    confusion: dict[str, dict[str, list[list[int]]]] = field(default_factory=dict)
    #: of the slices' scores, by model, of each run
    calibration: dict[str, list[CalibrationRun]] = field(default_factory=dict)
    #: by level and model
    abstention: dict[str, dict[str, list[AbstentionRow]]] = field(default_factory=dict)
    #: by level and model
    selective_risk: dict[str, dict[str, SelectiveRisk]] = field(default_factory=dict)
    #: by model: what the logarithms of the scores of patients or scans are divided by, fitted on
    #: the validation set, where their scores are to be probabilities
    unit_temperature: dict[str, float] = field(default_factory=dict)
    #: by model, of each class, of patients or scans
    prevalence: dict[str, list[ClassPrevalence]] = field(default_factory=dict)
    #: by model, of each class: what was stated or estimated
    stated_prevalence: dict[str, list[float]] = field(default_factory=dict)
    predictive_values: dict[str, PredictiveValues] = field(default_factory=dict)  #: by model
    #: by what is acted on and model, of patients or scans
    net_benefit: dict[str, dict[str, list[NetBenefit]]] = field(default_factory=dict)
    #: by level and model
    prediction_sets: dict[str, dict[str, PredictionSets]] = field(default_factory=dict)
    #: by column and group
    subgroups: dict[str, dict[str, Subgroup]] = field(default_factory=dict)
    errors: dict[str, list[ClassError]] = field(default_factory=dict)  #: by model
    lesion_errors: dict[str, list[LesionError]] = field(default_factory=dict)  #: by model

    @property
    def models(self) -> list[str]:
        """Names, in the order in which they were given."""
        return list(dict.fromkeys(item.model for item in self.inputs))

    @property
    def is_compared(self) -> bool:
        """Whether there are models to compare with the reference."""
        return len(self.models) > 1

    @property
    def is_classified(self) -> bool:
        """Whether the set has class-labelled slices."""
        return bool(self.confusion)

    @property
    def is_calibrated(self) -> bool:
        """Whether temperatures were fitted."""
        return any(run.is_scaled for runs in self.calibration.values() for run in runs)

    def classes_of(self, level: str) -> tuple[NamedClass, ...]:
        """The classes that a level has figures of."""
        return self.classes.lesions if level == 'lesion' else self.classes.images
