"""Convolutions of an exported graph in 8 bits."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

from mmcovid.utils.log import without_messages

from .metadata import INPUTS

#: Where the weights of what is quantised begin. Nearly all arithmetic is here; what ranks and
#: decodes boxes, attends and classifies loses more than it gains.
_QUANTIZED = (
    'model.backbone.',
    'model.neck.',
    'model.roi_head.mask_head.convs.',
    'model.roi_head.classification_branch.convs.',
    'upsample.',
)


class _Slices(CalibrationDataReader):
    """Slices (H, W) as inputs of the graph; all lesions that the model finds get a mask."""

    def __init__(self, slices: Iterable[np.ndarray], segments: bool) -> None:
        self._slices = iter(slices)
        self._rest = {INPUTS[1]: np.zeros(1, np.float32)} if segments else {}

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Inputs of the next slice; None after the last one."""
        grey = next(self._slices, None)
        return None if grey is None else {INPUTS[0]: grey[None], **self._rest}


def quantize(model: onnx.ModelProto, slices: Iterable[np.ndarray]) -> onnx.ModelProto:
    """Quantise the large convolutions of a graph.

    Weights get a scale for each channel and 7 bits, since sums of 8-bit products overflow on CPUs
    without VNNI; activations get 8 bits, for the range that they have on the slices.

    Args:
        model (onnx.ModelProto): The graph in full precision.
        slices (Iterable[np.ndarray]): Grey values (H, W) float32 of slices to calibrate by.

    Returns:
        onnx.ModelProto: The graph, of the same opset, with ``QuantizeLinear`` and
        ``DequantizeLinear``.
    """
    nodes = [
        node.name
        for node in model.graph.node
        if node.op_type == 'Conv' and node.input[1].startswith(_QUANTIZED)
    ]
    segments = len(model.graph.input) > 1
    with (
        tempfile.TemporaryDirectory() as folder,
        without_messages('root', 'Please consider'),
    ):
        file = Path(folder, 'int8.onnx')
        quantize_static(
            model,
            file,
            _Slices(slices, segments),
            nodes_to_quantize=nodes,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        return onnx.load(file)
