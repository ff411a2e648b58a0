"""Slices per second of a one-shot model, by what computes it, task, batch and precision.

PyTorch in full precision, one slice at a time, is how the author's release predicts; all
others are told as multiples of its speed. They take turns in one process, so that a noisy machine
disturbs them alike: read the multiples rather than the milliseconds.

Weights are random and slices are noise, so of the tasks "lesions" is the dearest case, in which
every place for a lesion is filled, and "no lesion" the cheapest: lesions of a score below the
threshold get no mask. "class" leaves lesions out altogether.

With --against, the table is set beside that of an earlier commit.
"""

import argparse
import copy
import json
import platform
import tempfile
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from benchmark import build_model, load_config, test_batch, time_in_turns
from mmengine.config import DictAction

from mmcovid.classes import Classes
from mmcovid.deployment.metadata import Metadata
from mmcovid.deployment.onnx_predictor import OnnxPredictor
from mmcovid.utils.files import write_json
from mmcovid.utils.provenance import git_state, now, software

#: Least score of lesions, by task; None looks for none.
TASKS = {'lesions': 0.0, 'no lesion': 1.0, 'class': None}
VARIANTS = ('full', 'mixed', 'channels-last', 'compiled')
PACKAGES = (
    'torch',
    'onedl-mmcv',
    'onedl-mmdetection',
    'onnxruntime',
    'onnxruntime-gpu',
    'openvino',
)


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('configs', nargs='+', metavar='CONFIG', help='configs of one-shot models')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--batch-sizes', type=int, nargs='+', default=[1])
    parser.add_argument(
        '--pytorch', nargs='+', choices=VARIANTS, default=['full'], help='ways of PyTorch'
    )
    parser.add_argument(
        '--engines',
        nargs='*',
        default=[],
        metavar='ENGINE[:PRECISION]',
        help='engines of the exported model, such as onnxruntime openvino:bf16 onnxruntime:int8; '
        'slices one by one',
    )
    parser.add_argument('--rounds', type=int, default=7, help='timed rounds of each contender')
    parser.add_argument('--threads', type=int, help='CPU threads (default: all)')
    parser.add_argument('--out', type=Path, help='write the figures to this JSON file')
    parser.add_argument('--against', type=Path, help='JSON file of an earlier commit')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    return parser.parse_args()


def input_size(config) -> tuple[int, int]:
    """Height and width that the test pipeline resizes to."""
    steps = config.test_dataloader.dataset.pipeline
    width, height = next(step.scale for step in steps if step.type == 'Resize')
    return height, width


def pytorch_contenders(config, args: argparse.Namespace) -> Iterator[tuple[tuple, Callable]]:
    """``(what computes, task, batch)`` and a function that predicts the batch once."""
    height, _ = input_size(config)
    for variant in args.pytorch:
        model = build_model(config, 'one-shot', args.device).eval()
        if variant == 'channels-last':
            model.to(memory_format=torch.channels_last)
        if variant == 'compiled':
            model.extract_feat = torch.compile(model.extract_feat)
        for batch_size in args.batch_sizes:
            for task, score_thr in TASKS.items():
                batch = test_batch(height, batch_size, 'cls' if score_thr is None else 'seg')
                yield (
                    (f'PyTorch, {variant}', task, batch_size),
                    pytorch_predictor(model, batch, score_thr, variant == 'mixed', args.device),
                )


def pytorch_predictor(
    model: torch.nn.Module, batch: dict, score_thr: float | None, mixed: bool, device: str
) -> Callable[[], None]:
    """A function that predicts a batch once."""
    kind = device.partition(':')[0]
    dtype = torch.float16 if kind == 'cuda' else torch.bfloat16

    def predict() -> None:
        model.roi_head.test_cfg.score_thr = score_thr or 0.0
        with torch.no_grad(), torch.autocast(kind, dtype) if mixed else nullcontext():
            model.test_step(copy.deepcopy(batch))

    return predict


def exported_contenders(
    config, args: argparse.Namespace, folder: Path
) -> Iterator[tuple[tuple, Callable]]:
    """As :func:`pytorch_contenders`, of the model as two ONNX files: all, and the class alone."""
    from mmcovid.deployment.export import export_model

    size = input_size(config)
    model = build_model(config, 'one-shot', 'cpu')
    metadata = Metadata(
        classes=Classes.of().to_meta(),
        input_size=size,
        window=(-600, 1500),
        temperature=1.0,
        mask_threshold=0.5,
        config=Path(config.filename).stem,
        config_sha256='',
        weights_sha256='',
    )
    grey = np.random.default_rng(0).integers(0, 256, size).astype(np.float32)

    @cache
    def exported(precision: str, class_only: bool) -> Path:
        file = folder / f'{metadata.config}-{precision}-{class_only}.onnx'
        told = replace(metadata, precision=precision)
        export_model(model, told, file, class_only=class_only, calibration=[grey])
        return file

    for name in args.engines:
        engine, _, precision = name.partition(':')
        device = args.device if engine == 'onnxruntime' else 'cpu'
        predictors = {
            class_only: OnnxPredictor(
                exported('int8' if precision == 'int8' else 'fp32', class_only),
                args.threads,
                engine,
                precision or None,
                device,
            )
            for class_only in (False, True)
        }
        for task, score_thr in TASKS.items():
            predict = predictors[score_thr is None].predict_resized
            yield (
                (name, task, 1),
                lambda predict=predict, thr=score_thr or 0.0: predict(grey, '', size, thr),
            )


def measure(path: str, args: argparse.Namespace) -> list[dict]:
    """Rows of a config."""
    config = load_config(path, args)
    config.model.test_cfg.rcnn.score_thr = 0.0
    with tempfile.TemporaryDirectory() as folder:
        contenders = dict(pytorch_contenders(config, args))
        if args.engines:
            contenders.update(exported_contenders(config, args, Path(folder)))
        seconds = time_in_turns(contenders, args.rounds, args.device)
    rows = []
    for (name, task, batch_size), time in seconds.items():
        per_slice = time / batch_size
        reference = seconds.get(('PyTorch, full', task, 1))
        rows.append(
            dict(
                config=Path(path).stem,
                computed_by=name,
                task=task,
                batch=batch_size,
                ms_per_slice=1e3 * per_slice,
                speed=reference / per_slice if reference else None,
                gb=peak_memory(contenders[name, task, batch_size], args.device),
            )
        )
    return rows


def peak_memory(function: Callable[[], None], device: str) -> float | None:
    """GB that PyTorch allocates at most on a GPU, models and inputs of all contenders included."""
    if not device.startswith('cuda'):
        return None
    torch.cuda.reset_peak_memory_stats()
    function()
    return torch.cuda.max_memory_allocated() / 1e9


def machine(args: argparse.Namespace) -> dict:
    """What computed."""
    cpu = platform.processor() or platform.machine()
    cpuinfo = Path('/proc/cpuinfo')
    if cpuinfo.is_file():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith('model name')]
        cpu = names[0].partition(':')[2].strip() if names else cpu
    gpu = torch.cuda.get_device_name() if args.device.startswith('cuda') else None
    return dict(cpu=cpu, threads=torch.get_num_threads(), gpu=gpu)


def print_table(rows: list[dict], earlier: list[dict] | None) -> None:
    """A Markdown table, with the speeds of an earlier commit if there are any."""

    def key(row: dict) -> tuple:
        return row['config'], row['computed_by'], row['task'], row['batch']

    then = {key(row): row['speed'] for row in earlier or []}
    columns = ['config', 'computed by', 'task', 'batch', 'ms per slice', 'speed', 'peak GB']
    columns += ['speed then'] if earlier else []
    print(f'| {" | ".join(columns)} |\n|---|---|---|{"---:|" * (len(columns) - 3)}')

    def times(speed: float | None) -> str:
        return '-' if speed is None else f'{speed:.2f}×'

    for row in rows:
        gb = '-' if row['gb'] is None else f'{row["gb"]:.1f}'
        cells = [*map(str, key(row)), f'{row["ms_per_slice"]:.1f}', times(row['speed']), gb]
        cells += [times(then.get(key(row)))] if earlier else []
        print(f'| {" | ".join(cells)} |', flush=True)


def main():
    args = parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    rows = [row for path in args.configs for row in measure(path, args)]
    print_table(rows, json.loads(args.against.read_text())['rows'] if args.against else None)
    if args.out:
        record = dict(
            git=git_state(),
            created=now(),
            machine=machine(args),
            software=software(PACKAGES),
            rows=rows,
        )
        write_json(record, args.out)


if __name__ == '__main__':
    main()
