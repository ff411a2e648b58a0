"""Slices in, results out, by onnxruntime alone."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from mmcovid.classes import Classes
from mmcovid.ct import is_ct, read_slice, to_grey
from mmcovid.results import Failure, Lesions, ModelInfo, RoISequence, SliceResult
from mmcovid.utils.files import sha256

from .masks import paste_mask
from .metadata import INPUT, KEY, OUTPUTS, Metadata


class OnnxPredictor:
    """A model that ``mmcovid export`` wrote, as :class:`mmcovid.scans.SlicePredictor`.

    It computes on the CPU.

    Args:
        path (str | Path): The ``.onnx`` file.
        threads (int, optional): Threads of one slice. Defaults to None: as many as there are
            cores.

    Raises:
        FileNotFoundError: There is no such file.
        ImportError: onnxruntime is not installed.
        ValueError: The file is no ONNX, no model of mmcovid, of another opset, or newer than this
            version.
    """

    def __init__(self, path: str | os.PathLike, threads: int | None = None) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise FileNotFoundError(f'{self.path}: no such file.')
        self._session = _open_session(self.path, threads)
        told = self._session.get_modelmeta().custom_metadata_map
        try:
            self.metadata = Metadata.from_json(told.get(KEY))
            _check_graph(self._session, self.metadata)
            self._classes = Classes.from_meta(self.metadata.classes)
        except ValueError as error:
            raise ValueError(f'{self.path}: {error}') from error
        #: What logits are divided by to become scores; it can be set.
        self.temperature: float | None = self.metadata.temperature

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
    def device(self) -> str:
        """What it computes on."""
        return 'cpu'

    def predict(
        self, paths: Sequence[str | os.PathLike], batch_size: int = 1
    ) -> Iterator[SliceResult | Failure]:
        """Predict slices one after the other.

        Args:
            paths (Sequence[str | Path]): Pictures, DICOM files, or slices of volumes.
            batch_size (int): Without effect: the graph takes one slice. Defaults to 1.

        Yields:
            SliceResult | Failure: One for each path, in their order.
        """
        for path in (os.fspath(each) for each in paths):
            try:
                grey = to_grey(read_slice(path, self.metadata.window), path)
            except Exception as error:  # whatever a decoder raises
                yield Failure(path, f'{type(error).__name__}: {error}'.strip())
            else:
                yield self._predict_slice(grey, path)

    def _predict_slice(self, grey: np.ndarray, path: str) -> SliceResult:
        """Predict grey values (H, W)."""
        height, width = self.metadata.input_size
        resized = cv2.resize(grey, (width, height), interpolation=cv2.INTER_LINEAR)
        arrays = self._session.run(list(OUTPUTS), {INPUT: resized[None]})
        found = dict(zip(OUTPUTS, arrays))
        scale = np.array([width / grey.shape[1], height / grey.shape[0]] * 2, np.float32)
        logits = found['logits'].astype(np.float64)
        return SliceResult(
            path=path,
            lesions=self._lesions(found, scale, grey.shape),
            class_scores=self._class_scores(logits, found['class_scores'].astype(np.float64)),
            class_logits=logits,
            roi_sequence=RoISequence(
                found['roi_boxes'] / scale,
                found['roi_labels'],
                found['roi_scores'],
                found['attention'],
            ),
            window=self.metadata.window if is_ct(path) else None,
        )

    def _lesions(
        self, found: dict[str, np.ndarray], scale: np.ndarray, shape: tuple[int, ...]
    ) -> Lesions:
        """Lesions in pixels of a slice of this shape."""
        number = int(found['num_detections'][0])
        boxes = found['boxes'][:number] / scale
        masks = np.zeros((number, *shape), bool)
        for place, box, mask in zip(masks, boxes, found['masks']):
            place[:] = paste_mask(mask, box, (shape[0], shape[1]), self.metadata.mask_threshold)
        return Lesions(found['labels'][:number], found['scores'][:number], boxes, masks)

    def _class_scores(self, logits: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """The scores (K,) of the graph, or those of another temperature."""
        if self.temperature in (None, self.metadata.temperature):
            return scores
        # normalised sigmoids, by their logarithms, without underflow
        logs = -np.logaddexp(0, -logits / self.temperature)
        parts = np.exp(logs - logs.max())
        return parts / parts.sum()


def _open_session(path: Path, threads: int | None):  # noqa: ANN202, the type is onnxruntime's
    """The graph of a file, ready to run."""
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(
            'onnxruntime is not installed; to mend it, run: pip install onnxruntime'
        ) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        return onnxruntime.InferenceSession(
            path, sess_options=options, providers=['CPUExecutionProvider']
        )
    except Exception as error:  # of many types, without a common one
        raise ValueError(
            f'{path}: is no ONNX file, or a broken one ({error}). Copy it again.'
        ) from error


def _check_graph(session, metadata: Metadata) -> None:
    """Make sure that inputs and outputs are what the metadata says.

    Raises:
        ValueError: They are not.
    """
    inputs = {each.name: tuple(each.shape) for each in session.get_inputs()}
    outputs = {each.name for each in session.get_outputs()}
    if inputs != {INPUT: (1, *metadata.input_size)} or not set(OUTPUTS) <= outputs:
        raise ValueError(
            'its graph is not what its metadata says. Give a file that "mmcovid export" wrote.'
        )
