"""What commands share that take exported models."""

import argparse
from pathlib import Path
from typing import Any

from mmcovid.deployment.engines import ENGINES


def is_exported(weights: str) -> bool:
    """Whether weights are an exported model, by the name of the file."""
    return Path(weights).suffix == '.onnx'


def add_engine_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of how an exported model is computed."""
    parser.add_argument(
        '--engine',
        choices=tuple(ENGINES),
        help='what computes an .onnx file (default: onnxruntime)',
    )
    parser.add_argument(
        '--precision',
        choices=sorted({name for names in ENGINES.values() for name in names} | {'int8'}),
        help='precision that an .onnx file is computed in (default: its own, which loses nothing '
        'more; bf16 needs --engine openvino, and a CPU that has it; int8 a file that was exported '
        'so)',
    )


def check_engine_arguments(
    parser: argparse.ArgumentParser, args: argparse.Namespace, weights: str
) -> None:
    """Refuse the options where there is no exported model."""
    if engine_arguments(args) and not is_exported(weights):
        parser.error('--engine and --precision are of exported models, .onnx')


def engine_arguments(args: argparse.Namespace) -> dict[str, Any]:
    """The options that were given, as arguments of :class:`OnnxPredictor`."""
    return {key: vars(args)[key] for key in ('engine', 'precision') if vars(args)[key]}
