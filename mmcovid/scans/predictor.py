"""What whole scans ask of a model."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from mmcovid.classes import Classes
from mmcovid.results import Failure, ModelInfo, SliceResult
from mmcovid.scan_class import LearnedRule


class SlicePredictor(Protocol):
    """Slices in, results out. :class:`mmcovid.apis.OneShotInferencer` is one."""

    @property
    def classes(self) -> Classes:
        """Classes of the lesions and of the slices that it knows."""

    @property
    def model_info(self) -> ModelInfo:
        """Name and hashes of the model."""

    @property
    def device(self) -> str:
        """What it computes on."""

    @property
    def precision(self) -> str:
        """Precision that it computes in, ``fp32``, ``bf16`` or ``int8``."""

    @property
    def temperature(self) -> float | None:
        """What its image logits are divided by; None if it does not classify."""

    @property
    def distance_threshold(self) -> float | None:
        """Largest ``feature_distance`` of slices like its training data; None: it gives none."""

    @property
    def scan_rule(self) -> LearnedRule | None:
        """The rule for the class of a scan that was fitted to this model; None: it has none."""

    def predict(
        self, paths: Sequence[str], batch_size: int = 1, score_thr: float = 0.0
    ) -> Iterator[SliceResult | Failure]:
        """Predict slices one after the other.

        Args:
            paths (Sequence[str]): Pictures, DICOM files, or slices of volumes
                (``scan.nrrd#012``).
            batch_size (int): Slices in one pass. Defaults to 1.
            score_thr (float): Least score of lesions; of others no mask is computed. Defaults to
                0.

        Yields:
            SliceResult | Failure: One for each path, in their order: a failure of those that
            cannot be read.
        """
