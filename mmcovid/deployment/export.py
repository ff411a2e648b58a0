"""Write a model as one ONNX file of standard operators."""

import copy
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import onnx
import torch
from mmdet.models.detectors import MaskRCNN
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn

from mmcovid.ct import LEVEL, WIDTH
from mmcovid.models.detectors import CovidCTMaskNet, OneShotRCNN, SliceClassifier
from mmcovid.registry import DATASETS
from mmcovid.utils.files import atomic_path
from mmcovid.utils.log import without_messages
from mmcovid.utils.spread import spread

from .exported_baselines import ExportedClassifier, ExportedCovidCTMaskNet
from .exported_mask_rcnn import ExportedMaskRCNN
from .exported_model import ExportedModel
from .exported_one_shot import ExportedOneShot
from .metadata import INPUTS, KEY, OPSET, Metadata
from .operators import TRANSLATIONS

#: What is exported of a model of a type, which must be this one: subclasses may do otherwise.
EXPORTED = {
    OneShotRCNN: ExportedOneShot,
    CovidCTMaskNet: ExportedCovidCTMaskNet,
    SliceClassifier: ExportedClassifier,
    MaskRCNN: ExportedMaskRCNN,
}
#: Steps of a test pipeline that the predictor does, or that change no pixel.
_KNOWN_STEPS = (
    'LoadImageFromFile',
    'LoadCTSlice',
    'ToThreeChannels',
    'Resize',
    'LoadAnnotations',
    'PackSliceInputs',
)


def export_model(
    model: nn.Module,
    metadata: Metadata,
    out: str | Path,
    overwrite: bool = False,
    class_only: bool = False,
    calibration: Iterable[np.ndarray] = (),
) -> None:
    """Write a model as one ONNX file; see ``docs/en/deploy.md``.

    Args:
        model (nn.Module): The trained model, on the CPU, of a type of :data:`EXPORTED`.
        metadata (Metadata): What the file is to tell of it.
        out (str | Path): File to write, ``.onnx``.
        overwrite (bool): Replace a file that is there. Defaults to False.
        class_only (bool): Only the class of the slice is wanted, no lesions. Defaults to False.
        calibration (Iterable[np.ndarray]): Grey values of slices, of the size of the input, (H, W)
            float32, to quantise by, if ``metadata.precision`` is ``'int8'``.

    Raises:
        FileExistsError: The file is there.
        ValueError: The model does what a file cannot, or ``out`` has another suffix.
    """
    out = Path(out)
    if out.suffix != '.onnx':
        raise ValueError(f'{out}: name the file .onnx.')
    if out.exists() and not overwrite:
        raise FileExistsError(f'{out}: is there already. Choose another name, or --overwrite it.')
    exported = _to_onnx(_exported(model, metadata.input_size), class_only)
    if metadata.precision == 'int8':
        from .quantization import quantize  # here: it needs onnxruntime

        exported = quantize(exported, calibration)
    _clean(exported)
    entry = exported.metadata_props.add()
    entry.key, entry.value = KEY, metadata.to_json()
    with atomic_path(out) as temporary:
        onnx.save(exported, temporary)


def slice_input(cfg: Config) -> tuple[tuple[int, int], tuple[float, float]]:
    """How the test pipeline of a config makes an input of a slice.

    Args:
        cfg (Config): As it was written; building a model changes it.

    Returns:
        tuple: Height and width of the input, and level and width of the window of a CT in HU.

    Raises:
        ValueError: The pipeline has a step that is not known here.
    """
    steps = {step['type'].rpartition('.')[2]: step for step in cfg.test_dataloader.dataset.pipeline}
    unknown = sorted(set(steps) - set(_KNOWN_STEPS))
    if unknown:
        raise ValueError(f'the test pipeline cannot be exported: it has {", ".join(unknown)}')
    resize = steps.get('Resize', {})
    plain = {'type', 'scale', 'keep_ratio'}
    if resize.get('keep_ratio') is not False or not plain >= set(resize) or 'scale' not in resize:
        raise ValueError(
            'the test pipeline cannot be exported: it needs '
            'dict(type="Resize", scale=(width, height), keep_ratio=False), without other options'
        )
    width, height = resize['scale']
    loader = steps.get('LoadImageFromFile') or steps.get('LoadCTSlice') or {}
    window = loader.get('window', dict(level=LEVEL, width=WIDTH))
    return (height, width), (float(window['level']), float(window['width']))


def calibration_slices(cfg: Config, number: int) -> Iterator[np.ndarray]:
    """Slices of the validation set of a config, as its test pipeline makes them.

    Args:
        cfg (Config): As for :func:`slice_input`, which tells the pipeline.
        number (int): How many, spread over the set.

    Returns:
        Iterator[np.ndarray]: Grey values (H, W), float32, of ``number`` slices, or all if there are
        fewer.
    """
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    pipeline = cfg.test_dataloader.dataset.pipeline
    dataset = DATASETS.build(copy.deepcopy(dict(cfg.val_dataloader.dataset, pipeline=pipeline)))
    places = spread(len(dataset), number)
    return (dataset[place]['inputs'][0].float().numpy() for place in places)


def _exported(model: nn.Module, input_size: tuple[int, int]) -> ExportedModel:
    """What is exported of a model.

    Raises:
        ValueError: The model does what a file cannot.
    """
    if type(model) not in EXPORTED:
        raise ValueError(
            f'models of type {type(model).__name__} are not exported, only '
            + ', '.join(each.__name__ for each in EXPORTED)
        )
    return EXPORTED[type(model)](model, input_size)


def _to_onnx(module: ExportedModel, class_only: bool) -> onnx.ModelProto:
    """The graph of a module, with the weights in it.

    Raises:
        ValueError: Only the class is wanted, of a model that does not classify.
    """
    segments = isinstance(module, ExportedMaskRCNN) and not class_only
    example = (torch.rand(1, *module.input_size), torch.zeros(1))[: 1 + segments]
    with torch.no_grad():
        outputs = list(module.eval()(*example))
    if not outputs:
        raise ValueError('the model does not classify slices: there is no class to export')
    with (
        torch.no_grad(),
        warnings.catch_warnings(),
        # whose operators are not used here
        without_messages(
            'torch.onnx._internal.exporter._registration', 'torchvision is not installed'
        ),
    ):
        warnings.simplefilter('ignore')  # of the exporter's own dependencies, and LSTMs' views
        program = torch.onnx.export(
            torch.export.export(module, example, strict=False),
            (),
            dynamo=True,
            opset_version=OPSET,
            custom_translation_table=TRANSLATIONS,
            input_names=list(INPUTS[: len(example)]),
            output_names=outputs,
            verbose=False,
        )
    return program.model_proto


def _clean(model: onnx.ModelProto) -> None:
    """Take out what the exporter noted: it names files of this machine.

    Raises:
        RuntimeError: The graph needs more than the operators of the opset.
    """
    model.doc_string = model.graph.doc_string = ''
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    for part in (*model.graph.node, *model.graph.value_info, *model.graph.initializer):
        part.doc_string = ''
        del part.metadata_props[:]
    domains = {opset.domain: opset.version for opset in model.opset_import}
    if domains != {'': OPSET} or model.functions:
        raise RuntimeError(f'the graph is not of opset {OPSET} alone: {domains}')
