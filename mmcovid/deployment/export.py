"""Write a one-shot detector as one ONNX file of standard operators."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx
import torch
from mmengine.config import Config
from torch import nn

from mmcovid.ct import LEVEL, WIDTH
from mmcovid.utils.files import atomic_path

from .exported_one_shot import ExportedOneShot, check_model
from .metadata import INPUT, KEY, OPSET, OUTPUTS, Metadata
from .operators import TRANSLATIONS

__all__ = ['check_model', 'export_model', 'slice_input']

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
    model: nn.Module, metadata: Metadata, out: str | Path, overwrite: bool = False
) -> None:
    """Write a detector as one ONNX file; see ``docs/en/deploy.md``.

    Args:
        model (:obj:`OneShotRCNN`): The trained detector, on the CPU.
        metadata (Metadata): What the file is to tell of it.
        out (str | Path): File to write, ``.onnx``.
        overwrite (bool): Replace a file that is there. Defaults to False.

    Raises:
        FileExistsError: The file is there.
        ValueError: The model does what a file cannot, or ``out`` has another suffix.
    """
    out = Path(out)
    if out.suffix != '.onnx':
        raise ValueError(f'{out}: name the file .onnx.')
    if out.exists() and not overwrite:
        raise FileExistsError(f'{out}: is there already. Choose another name, or --overwrite it.')
    exported = _to_onnx(ExportedOneShot(model, metadata.input_size))
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


def _to_onnx(module: ExportedOneShot) -> onnx.ModelProto:
    """The graph of a module, with the weights in it."""
    example = (torch.rand(1, *module.input_size),)
    with torch.no_grad(), warnings.catch_warnings(), _without_note_of_torchvision():
        warnings.simplefilter('ignore')  # of the exporter's own dependencies, and LSTMs' views
        program = torch.onnx.export(
            torch.export.export(module.eval(), example, strict=False),
            (),
            dynamo=True,
            opset_version=OPSET,
            custom_translation_table=TRANSLATIONS,
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            verbose=False,
        )
    return program.model_proto


@contextmanager
def _without_note_of_torchvision() -> Iterator[None]:
    """Leave out that the exporter misses torchvision, whose operators are not used here."""
    logger = logging.getLogger('torch.onnx._internal.exporter._registration')

    def is_other(record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith('torchvision is not installed')

    logger.addFilter(is_other)
    try:
        yield
    finally:
        logger.removeFilter(is_other)


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
