"""What computes an exported graph: onnxruntime, or OpenVINO."""

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np

#: Engines by name, and the precisions that each computes an fp32 file in.
ENGINES = {'onnxruntime': ('fp32',), 'openvino': ('fp32', 'bf16')}


class Engine(Protocol):
    """A graph, ready to run."""

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Arrays in and out, by the names of the graph."""


class OnnxRuntimeEngine:
    """The graph of a file, computed by onnxruntime.

    Args:
        path (Path): The ``.onnx`` file.
        threads (int, optional): Of the CPU. Defaults to None: as many as there are cores.
        optimize (bool): Let onnxruntime rewrite the graph, which takes a second. Defaults to True.
        device (str): ``'cpu'``, ``'cuda'`` or ``'cuda:N'``. Defaults to ``'cpu'``.

    Raises:
        ImportError: onnxruntime is not installed.
        ValueError: The file is no ONNX, or onnxruntime does not compute on the device here.
    """

    def __init__(
        self,
        path: Path,
        threads: int | None = None,
        optimize: bool = True,
        device: str = 'cpu',
    ) -> None:
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
        if not optimize:
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        provider = _provider(device, onnxruntime)
        try:
            self._session = onnxruntime.InferenceSession(
                path, sess_options=options, providers=[provider]
            )
        except Exception as error:  # of many types, without a common one
            raise ValueError(
                f'{path}: is no ONNX file, or a broken one ({error}). Copy it again.'
            ) from error
        if self._session.get_providers()[0] != provider[0]:  # it fell back, and only logs it
            raise ValueError(
                f'onnxruntime cannot use {device}: its libraries of CUDA and cuDNN are missing or '
                "do not fit. To mend it, run: pip install 'onnxruntime-gpu[cuda,cudnn]'"
            )
        #: Shapes of the inputs, by name.
        self.inputs = {each.name: tuple(each.shape) for each in self._session.get_inputs()}
        #: Names of the outputs.
        self.outputs = tuple(each.name for each in self._session.get_outputs())
        #: What the file tells of itself.
        self.metadata: dict[str, str] = self._session.get_modelmeta().custom_metadata_map

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """See :class:`Engine`."""
        return dict(zip(self.outputs, self._session.run(self.outputs, dict(inputs))))


def _provider(device: str, onnxruntime: ModuleType) -> tuple[str, dict[str, Any]]:
    """What of onnxruntime computes on a device, and its options.

    Raises:
        ValueError: There is nothing that does.
    """
    kind, _, index = device.partition(':')
    if kind == 'cpu':
        return 'CPUExecutionProvider', {}
    if kind != 'cuda' or not (index or '0').isdecimal():
        raise ValueError(f'onnxruntime computes on cpu, cuda or cuda:N, not on {device}')
    if 'CUDAExecutionProvider' not in onnxruntime.get_available_providers():
        raise ValueError(
            'the onnxruntime that is installed computes on the CPU only; for CUDA, run: '
            "pip uninstall onnxruntime; pip install 'onnxruntime-gpu[cuda,cudnn]'"
        )
    onnxruntime.preload_dlls()  # those of CUDA that pip installed, if any
    # in full precision, as on the CPU
    return 'CUDAExecutionProvider', {'device_id': int(index or 0), 'use_tf32': 0}


class OpenVinoEngine:
    """The graph of a file, computed by OpenVINO on the CPU.

    Args:
        path (Path): The ``.onnx`` file, known to be sound.
        threads (int, optional): Defaults to None: as many as there are cores.
        precision (str): ``'fp32'`` or ``'bf16'``; ``'int8'`` if the file is in it. Defaults to
            ``'fp32'``.

    Raises:
        ImportError: openvino is not installed.
        ValueError: The CPU does not compute in this precision.
    """

    def __init__(self, path: Path, threads: int | None = None, precision: str = 'fp32') -> None:
        try:
            import openvino
        except ImportError as error:
            raise ImportError(
                'openvino is not installed; to mend it, run: pip install openvino'
            ) from error
        core = openvino.Core()
        if precision.upper() not in core.get_property('CPU', 'OPTIMIZATION_CAPABILITIES'):
            raise ValueError(
                f'this CPU does not compute in {precision}: take fp32, or a machine that does.'
            )
        hints: dict[str, Any] = {
            # of what is not in int8 already
            'INFERENCE_PRECISION_HINT': 'bf16' if precision == 'bf16' else 'f32',
            'PERFORMANCE_HINT': 'LATENCY',
        }
        if threads is not None:
            hints['INFERENCE_NUM_THREADS'] = threads
        compiled = core.compile_model(core.read_model(path), 'CPU', hints)
        self._request = compiled.create_infer_request()

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """See :class:`Engine`."""
        found = self._request.infer(dict(inputs)).to_dict()
        return {output.get_any_name(): np.array(array) for output, array in found.items()}
