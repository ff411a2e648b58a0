from types import SimpleNamespace

import pytest

onnxruntime = pytest.importorskip('onnxruntime')
from mmcovid.deployment.engines import OnnxRuntimeEngine  # noqa: E402

CPU, CUDA = 'CPUExecutionProvider', 'CUDAExecutionProvider'


@pytest.fixture
def gpu(monkeypatch):
    """An onnxruntime for CUDA, whose sessions use what ``works`` says, and the last one."""
    told = SimpleNamespace(works=[CUDA, CPU], asked=None)

    class Session:
        def __init__(self, path, sess_options, providers):
            told.asked = providers

        def get_providers(self):
            return told.works

        def get_inputs(self):
            return []

        get_outputs = get_inputs

        def get_modelmeta(self):
            return SimpleNamespace(custom_metadata_map={})

    monkeypatch.setattr(onnxruntime, 'get_available_providers', lambda: [CUDA, CPU])
    monkeypatch.setattr(onnxruntime, 'preload_dlls', lambda: None, raising=False)
    monkeypatch.setattr(onnxruntime, 'InferenceSession', Session)
    return told


@pytest.mark.parametrize('device, index', [('cuda', 0), ('cuda:1', 1)])
def test_cuda_in_full_precision(gpu, tmp_path, device, index):
    OnnxRuntimeEngine(tmp_path / 'model.onnx', device=device)
    assert gpu.asked == [(CUDA, {'device_id': index, 'use_tf32': 0})]


def test_the_cpu_does_not_stand_in_for_cuda_unasked(gpu, tmp_path):
    gpu.works = [CPU]
    with pytest.raises(ValueError, match='onnxruntime cannot use cuda: its libraries'):
        OnnxRuntimeEngine(tmp_path / 'model.onnx', device='cuda')
    OnnxRuntimeEngine(tmp_path / 'model.onnx', device='cpu')
    assert gpu.asked == [(CPU, {})]


def test_without_cuda(gpu, tmp_path, monkeypatch):
    monkeypatch.setattr(onnxruntime, 'get_available_providers', lambda: [CPU])
    with pytest.raises(ValueError, match='pip install .onnxruntime-gpu'):
        OnnxRuntimeEngine(tmp_path / 'model.onnx', device='cuda')


@pytest.mark.parametrize('device', ['mps', 'cuda:x', 'cuda:-1', ''])
def test_devices_that_there_are_not(gpu, tmp_path, device):
    with pytest.raises(ValueError, match=f'on cpu, cuda or cuda:N, not on {device}'):
        OnnxRuntimeEngine(tmp_path / 'model.onnx', device=device)
