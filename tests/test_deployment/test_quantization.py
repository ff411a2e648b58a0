import numpy as np
import pytest
from onnx import TensorProto, checker, helper, numpy_helper

onnxruntime = pytest.importorskip('onnxruntime')
from mmcovid.deployment.metadata import OPSET  # noqa: E402
from mmcovid.deployment.quantization import quantize  # noqa: E402

WEIGHTS = ('model.backbone.conv1.weight', 'model.rpn_head.rpn_cls.weight')


@pytest.fixture(scope='module')
def graph():
    """Two convolutions, one of a backbone and one of an RPN."""
    rng = np.random.default_rng(0)
    arrays = dict(zip(WEIGHTS, (rng.normal(size=(8, 1, 3, 3)), rng.normal(size=(4, 8, 1, 1)))))
    arrays[WEIGHTS[0]] *= np.linspace(0.5, 1.5, 8)[:, None, None, None]
    nodes = [
        helper.make_node('Unsqueeze', ['slices', 'axis'], ['image']),
        helper.make_node('Conv', ['image', WEIGHTS[0]], ['feature'], 'first', pads=[1] * 4),
        helper.make_node('InstanceNormalization', ['feature', 'ones', 'zeros'], ['norm']),
        helper.make_node('Conv', ['norm', WEIGHTS[1]], ['scores'], 'second'),
    ]
    constants = dict(axis=np.array([0]), ones=np.ones(8, np.float32), zeros=np.zeros(8, np.float32))
    constants.update({name: array.astype(np.float32) for name, array in arrays.items()})
    shapes = dict(slices=(1, 16, 20), scores=(1, 4, 16, 20))
    values = {k: helper.make_tensor_value_info(k, TensorProto.FLOAT, v) for k, v in shapes.items()}
    return helper.make_model(
        helper.make_graph(
            nodes,
            'graph',
            [values['slices']],
            [values['scores']],
            [numpy_helper.from_array(array, name) for name, array in constants.items()],
        ),
        opset_imports=[helper.make_opsetid('', OPSET)],
        ir_version=10,
    )


def test_quantize(graph, caplog):
    rng = np.random.default_rng(1)
    slices = [rng.random((16, 20), np.float32) * 255 for _ in range(4)]
    quantized = quantize(graph, slices)
    checker.check_model(quantized, full_check=True)
    assert [(each.domain, each.version) for each in quantized.opset_import] == [('', OPSET)]
    assert 'pre-processing' not in caplog.text

    constants = {each.name: numpy_helper.to_array(each) for each in quantized.graph.initializer}
    weights = {name: array for name, array in constants.items() if name.startswith(WEIGHTS)}
    integers = [name for name, array in weights.items() if array.dtype == np.int8]
    assert [name.startswith(WEIGHTS[0]) for name in integers if weights[name].ndim == 4] == [True]
    assert WEIGHTS[1] in weights and weights[WEIGHTS[1]].dtype == np.float32
    (first,) = (weights[name] for name in integers if weights[name].ndim == 4)
    assert (np.abs(first).reshape(8, -1).max(axis=1) >= 63).all()  # of each channel
    assert np.abs(first).max() <= 64  # 7 bits

    both = [
        onnxruntime.InferenceSession(model.SerializeToString(), providers=['CPUExecutionProvider'])
        for model in (graph, quantized)
    ]
    wanted, found = (session.run(None, {'slices': slices[0][None]})[0] for session in both)
    assert 0 < np.abs(found - wanted).max() < 0.1 * np.abs(wanted).max()
