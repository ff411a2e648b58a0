"""Slices in, results out, of an exported model."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from mmcovid.classes import Classes
from mmcovid.ct import is_ct, read_slice, to_grey
from mmcovid.results import Failure, Lesions, ModelInfo, RoISequence, SliceResult, just_below
from mmcovid.scan_class import LearnedRule
from mmcovid.utils.ahead import ahead
from mmcovid.utils.files import sha256

from .engines import ENGINES, Engine, OnnxRuntimeEngine, OpenVinoEngine
from .masks import paste_mask
from .metadata import (
    DISTANCE_OUTPUT,
    IMAGE_OUTPUTS,
    INPUTS,
    KEY,
    LESION_OUTPUTS,
    ROI_OUTPUTS,
    VECTOR_OUTPUT,
    Metadata,
)


class OnnxPredictor:
    """A model that ``mmcovid export`` wrote, as :class:`mmcovid.scans.SlicePredictor`.

    Args:
        path (str | Path): The ``.onnx`` file.
        threads (int, optional): Threads of one slice. Defaults to None: as many as there are
            cores.
        engine (str): What computes, of :data:`~mmcovid.deployment.engines.ENGINES`. Defaults to
            ``'onnxruntime'``, which also reads what the file tells of itself for the others.
        precision (str, optional): That of the engine. Defaults to None: that of the file, which
            loses nothing more.
        device (str): ``'cpu'``, or ``'cuda'`` or ``'cuda:N'`` for onnxruntime. Defaults to
            ``'cpu'``.

    Raises:
        FileNotFoundError: There is no such file.
        ImportError: onnxruntime or the engine is not installed.
        ValueError: The file is no ONNX, no model of mmcovid, of another opset, of another
            precision, or newer than this version; or the engine does not compute on the device,
            or it or the CPU not in the precision.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        threads: int | None = None,
        engine: str = 'onnxruntime',
        precision: str | None = None,
        device: str = 'cpu',
    ) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise FileNotFoundError(f'{self.path}: no such file.')
        native = engine == 'onnxruntime'
        if not native and device != 'cpu':
            raise ValueError(f'{engine} computes on the CPU only: leave out --device {device}')
        graph = OnnxRuntimeEngine(self.path, threads, optimize=native, device=device)
        try:
            self.metadata = Metadata.from_json(graph.metadata.get(KEY))
            _check_graph(graph, self.metadata)
            self._classes = Classes.from_meta(self.metadata.classes)
            self._scan_rule: LearnedRule | None = None
            if rule := self.metadata.scan_rule:
                self._scan_rule = LearnedRule.from_plain(rule, self._classes.image_names)
            #: Precision that it computes in.
            self.precision = _precision(precision, self.metadata.precision, engine)
        except ValueError as error:
            raise ValueError(f'{self.path}: {error}') from error
        #: Whether it finds lesions.
        self.segments = LESION_OUTPUTS[0] in graph.outputs
        self._classifies = IMAGE_OUTPUTS[0] in graph.outputs
        self._temperature = self.metadata.temperature
        #: What it computes on.
        self.device = device
        self._run: Engine = graph if native else OpenVinoEngine(self.path, threads, self.precision)

    @property
    def temperature(self) -> float | None:
        """What logits are divided by to become scores; None if slices are not classified.

        Raises:
            ValueError: It is set, but the model does not classify slices.
        """
        return self._temperature

    @temperature.setter
    def temperature(self, value: float) -> None:
        if not self._classifies:
            raise ValueError(
                f'{self.path}: this model does not classify slices: it has no temperature'
            )
        self._temperature = value

    @property
    def classes(self) -> Classes:
        """Classes of the lesions and of the slices that it knows."""
        return self._classes

    @property
    def model_info(self) -> ModelInfo:
        """Name and hash of the config, and the file with its hash."""
        return ModelInfo(
            self.metadata.config,
            self.metadata.config_sha256,
            str(self.path),
            sha256(self.path),
        )

    @property
    def distance_threshold(self) -> float | None:
        """Largest ``feature_distance`` of slices like the training data; None if it gives none."""
        return self.metadata.distance_threshold

    @property
    def scan_rule(self) -> LearnedRule | None:
        """The rule for the class of a scan that was fitted to this model; None: it has none."""
        return self._scan_rule

    def predict(
        self, paths: Sequence[str | os.PathLike], batch_size: int = 1, score_thr: float = 0.0
    ) -> Iterator[SliceResult | Failure]:
        """Predict slices one after the other.

        Args:
            paths (Sequence[str | Path]): Pictures, DICOM files, or slices of volumes.
            batch_size (int): Without effect: the graph takes one slice. Defaults to 1.
            score_thr (float): Least score of lesions; of others no mask is computed. Defaults to
                0, which leaves the model's own threshold.

        Yields:
            SliceResult | Failure: One for each path, in their order.
        """
        height, width = self.metadata.input_size
        for read in ahead(map(self._read, paths)):
            if isinstance(read, Failure):
                yield read
                continue
            path, grey = read
            resized = cv2.resize(grey, (width, height), interpolation=cv2.INTER_LINEAR)
            yield self.predict_resized(resized, path, grey.shape, score_thr)

    def _read(self, path: str | os.PathLike) -> tuple[str, np.ndarray] | Failure:
        """A slice and its grey values (H, W)."""
        path = os.fspath(path)
        try:
            return path, to_grey(read_slice(path, self.metadata.window), path)
        except Exception as error:  # whatever a decoder raises
            return Failure(path, f'{type(error).__name__}: {error}'.strip())

    def predict_resized(
        self, grey: np.ndarray, path: str, shape: tuple[int, int], score_thr: float = 0.0
    ) -> SliceResult:
        """Predict a slice that has been read and resized.

        Args:
            grey (np.ndarray): Grey values of the size of the input, (h, w) float32.
            path (str): The slice.
            shape (tuple[int, int]): Its height and width H, W before it was resized; boxes and
                masks are in its pixels.
            score_thr (float): As for :meth:`predict`.

        Returns:
            SliceResult: Of the slice.
        """
        inputs = {INPUTS[0]: grey[None]}
        if self.segments:
            inputs[INPUTS[1]] = np.array([just_below(score_thr)])
        found = self._run(inputs)
        height, width = grey.shape
        scale = np.array([width / shape[1], height / shape[0]] * 2, np.float32)
        result = SliceResult(path, window=self.metadata.window if is_ct(path) else None)
        if self.segments:
            result.lesions = self._lesions(found, scale, shape)
        if 'logits' in found:
            result.class_logits = found['logits'].astype(np.float64)
            result.class_scores = self._class_scores(
                result.class_logits, found['class_scores'].astype(np.float64)
            )
        if 'attention' in found:
            result.roi_sequence = RoISequence(
                found['roi_boxes'] / scale,
                found['roi_labels'],
                found['roi_scores'],
                found['attention'],
            )
        if DISTANCE_OUTPUT in found:
            result.feature_distance = float(found[DISTANCE_OUTPUT][0])
        result.image_vector = found.get(VECTOR_OUTPUT)
        return result

    def _lesions(
        self, found: dict[str, np.ndarray], scale: np.ndarray, shape: tuple[int, int]
    ) -> Lesions:
        """Lesions in pixels of a slice of this shape."""
        number = int(found['num_detections'][0])
        boxes = found['boxes'][:number] / scale
        masks = np.zeros((number, *shape), bool)
        for place, box, mask in zip(masks, boxes, found['masks']):
            place[:] = paste_mask(mask, box, shape, self.metadata.mask_threshold)
        return Lesions(found['labels'][:number], found['scores'][:number], boxes, masks)

    def _class_scores(self, logits: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """The scores (K,) of the graph, or those of another temperature."""
        if self.temperature in (None, self.metadata.temperature):
            return scores
        # normalised sigmoids, by their logarithms, without underflow
        logs = -np.logaddexp(0, -logits / self.temperature)
        parts = np.exp(logs - logs.max())
        return parts / parts.sum()


def _precision(wanted: str | None, of_file: str, engine: str) -> str:
    """The precision to compute in: that of an int8 file is in its graph, fp32 ones leave a choice.

    Raises:
        ValueError: The file or the engine leaves no such choice.
    """
    if wanted in (None, of_file):
        return of_file
    if 'int8' in (wanted, of_file):
        raise ValueError(
            f'is in {of_file}, not {wanted}. Export the model with --precision '
            f'{"int8" if wanted == "int8" else "fp32"}.'
        )
    if wanted not in ENGINES[engine]:
        raise ValueError(f'{engine} computes in {", ".join(ENGINES[engine])}, not {wanted}')
    return wanted


def _check_graph(graph: OnnxRuntimeEngine, metadata: Metadata) -> None:
    """Make sure that inputs and outputs are what the metadata says.

    Raises:
        ValueError: They are not.
    """
    groups = {
        group: len(set(group) & set(graph.outputs)) / len(group)
        for group in (LESION_OUTPUTS, IMAGE_OUTPUTS, ROI_OUTPUTS)
    }
    expected: dict[str, tuple[int, ...]] = {INPUTS[0]: (1, *metadata.input_size)}
    if groups[LESION_OUTPUTS]:
        expected[INPUTS[1]] = (1,)
    whole = all(share in (0, 1) for share in groups.values()) and any(groups.values())
    known = (DISTANCE_OUTPUT in graph.outputs) == (metadata.distance_threshold is not None)
    if graph.inputs != expected or not whole or not known:
        raise ValueError(
            'its graph is not what its metadata says. Give a file that "mmcovid export" wrote.'
        )
