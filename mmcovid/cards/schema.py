"""What ``model_card.json`` holds.

A card is read, continued and written by trainings and tests of different days, so it is kept as the
JSON that it is; these types say what is in it.
"""

from typing import Any, TypedDict

CARD_NAME = 'model_card.json'
SCHEMA_VERSION = 1

#: Name of a figure to its value; null where the set does not define it.
Metrics = dict[str, Any]


class CheckpointFile(TypedDict, total=False):
    """A checkpoint; without the folder that it lies in."""

    file: str
    sha256: str
    iteration: int


class ConfigFacts(TypedDict):
    """A config, by its name and what it resolves to."""

    file: str | None
    hash: str
    model_hash: str  #: of its model, which options of a test leave


class ModelFacts(TypedDict):
    """A model in numbers."""

    detector: str
    parameters: int
    trainable: int
    parts: dict[str, dict[str, Any]]  #: ``type`` and ``parameters`` by name


class InitialWeights(TypedDict):
    """What a part of the model began with."""

    of: str
    source: str
    sha256: str | None


class TrainingFacts(TypedDict, total=False):
    """How the model was trained, and how far."""

    finished: bool
    max_iterations: int
    batch: dict[str, Any]  #: ``size``, ``source_ratio``, ``accumulated``
    optimizer: dict[str, Any]
    unrecorded_iterations: int  #: before the first run that kept a card
    iterations: int
    epochs: int | None


class Run(TypedDict, total=False):
    """A part of a training: one process, from its start or resumption to its end."""

    begun: str
    from_iteration: int
    to_iteration: int
    seconds: float
    seed: int
    deterministic: bool
    config_hash: str
    software: dict[str, Any] | None
    hardware: dict[str, Any] | None


class SetFacts(TypedDict, total=False):
    """A set of slices; what is in it only if it was loaded."""

    dataset: str
    task: str | None
    images: str | None
    annotations: list[dict[str, Any]]  #: ``file``, ``sha256`` and ``data_card`` of each
    skip_list: str | None
    per_class: int | None
    slices: int
    patients: int
    slices_of_unknown_patients: int
    classes: dict[str, dict[str, int]]


class Validation(TypedDict):
    """Figures of the last validation during the training."""

    iteration: int
    metrics: Metrics


class TestRecord(TypedDict):
    """A test of a checkpoint."""

    time: str
    checkpoint: CheckpointFile
    config: ConfigFacts
    data: list[SetFacts]
    software: dict[str, Any]
    metrics: Metrics


class Card(TypedDict, total=False):
    """The whole card."""

    schema_version: int
    name: str
    model: ModelFacts | None
    classes: list[str]  #: of lesions
    image_classes: list[str]
    config: ConfigFacts
    initial_weights: list[InitialWeights] | None
    training: TrainingFacts
    runs: list[Run]
    data: dict[str, list[SetFacts]]  #: by role: train, val, test
    licences: dict[str, str]  #: of the training data, by collection
    checkpoint: CheckpointFile | None
    validation: Validation | None
    tests: list[TestRecord]
    intended_use: str
    limits: list[str]
    citation: str
    missing: dict[str, str]  #: what could not be found out, and why
    updated: str
    published: CheckpointFile  #: what a published file was made of
