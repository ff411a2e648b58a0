"""Speed, memory and size of a one-shot model, beside a Mask R-CNN of the same parts.

The Mask R-CNN has the same backbone, neck, heads and test settings, from the
same config. All contenders take turns in one process, so that a noisy machine
disturbs them alike; read the ratios rather than the seconds. Weights are random
and slices are noise: the number of detections is then at its maximum.

With --training, one Markdown table of what it takes to train some models, each in
full and in mixed precision.
"""

import argparse
import copy
import gc
import itertools
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import torch
from mmdet.registry import MODELS
from mmdet.testing import demo_mm_inputs
from mmengine.config import Config, DictAction
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from rich.console import Console
from rich.progress import track
from rich.table import Table

from mmcovid.cli.runner import enable_amp
from mmcovid.utils.files import write_json

CONTENDERS = ('one-shot', 'mask-rcnn')


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'configs',
        nargs='+',
        metavar='CONFIG',
        help='config of a one-shot model; with --training any number',
    )
    parser.add_argument(
        '--training',
        action='store_true',
        help='print time, GPU memory and length of the training alone, by config, batch size '
        '(slices of each set) and precision',
    )
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--size', type=int, default=512, help='height and width of a slice')
    parser.add_argument('--batch-sizes', type=int, nargs='+', default=[1, 2, 4, 8])
    parser.add_argument('--rounds', type=int, default=7, help='timed rounds of each contender')
    parser.add_argument('--threads', type=int, help='CPU threads (default: all)')
    parser.add_argument(
        '--amp', action='store_true', help='train in mixed precision, as tools/train.py --amp'
    )
    parser.add_argument('--out', type=Path, help='write the figures to this JSON file')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    # one contender in a process of its own, to measure its peak memory
    parser.add_argument('--memory-of', choices=CONTENDERS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if len(args.configs) > 1 and not args.training:
        parser.error('several configs are compared by --training only')
    return args


def load_config(path: str, args: argparse.Namespace) -> Config:
    config = Config.fromfile(path)
    config.merge_from_dict(args.cfg_options or {})
    init_default_scope(config.get('default_scope', 'mmdet'))
    return config


def build_model(config: Config, contender: str, device: str) -> torch.nn.Module:
    """Build the one-shot model of a config, or the Mask R-CNN of its parts."""
    cfg = copy.deepcopy(config.model)
    cfg.backbone.init_cfg = None
    if contender == 'mask-rcnn':
        cfg.type = 'MaskRCNN'
        cfg.data_preprocessor = cfg.data_preprocessor.data_preprocessor
        cfg.roi_head.type = 'StandardRoIHead'
        cfg.roi_head.pop('roi_sequence')
        cfg.test_cfg.pop('detect_cls_slices', None)
        for key in ('attention_head', 'update_policy', 'sync_policy', 'task_weights'):
            cfg.pop(key, None)
    return MODELS.build(cfg).to(device)


def test_batch(size: int, batch_size: int, task: str) -> dict:
    """A batch of noise to predict."""
    batch = demo_mm_inputs(
        batch_size, [(3, size, size)] * batch_size, num_classes=3, with_mask=True
    )
    for sample in batch['data_samples']:
        sample.set_metainfo(dict(task=task, scale_factor=(1.0, 1.0)))
    return batch


def train_batch(size: int, contender: str, num: int = 1) -> dict:
    """Slices with four lesions, and for the one-shot model as many with an image label."""
    seg = demo_mm_inputs(
        num, [(3, size, size)] * num, num_items=[4] * num, num_classes=3, with_mask=True
    )
    if contender == 'mask-rcnn':
        return seg
    cls = test_batch(size, num, 'cls')
    for sample in cls['data_samples']:
        sample.gt_label = torch.tensor([1])
    blank = [None] * num
    return {key: dict(seg=seg[key] + blank, cls=blank + cls[key]) for key in seg}


def predictor(model, batch: dict):
    """A function that predicts the batch once."""

    def predict():
        with torch.no_grad():
            model.eval().test_step(copy.deepcopy(batch))

    return predict


def trainer(config: Config, model: torch.nn.Module, batch: dict, amp: bool):
    """A function that trains once, with the optimiser of the config."""
    config = copy.deepcopy(config)
    if amp:
        enable_amp(config)
    optim_wrapper = build_optim_wrapper(model, config.optim_wrapper)

    def train():
        model.train().train_step(copy.deepcopy(batch), optim_wrapper)

    return train


def time_in_turns(functions: dict, rounds: int, device: str) -> dict[str, float]:
    """Median seconds of each function; they take turns in every round."""

    def once(function) -> float:
        start = time.perf_counter()
        function()
        if device.startswith('cuda'):
            torch.cuda.synchronize()
        return time.perf_counter() - start

    seconds = {name: [] for name in functions}
    console = Console(stderr=True)  # the table goes to a file or a page
    for number in track(range(rounds + 1), '  rounds', transient=True, console=console):
        for name, function in functions.items():
            elapsed = once(function)
            if number:  # the first round warms up
                seconds[name].append(elapsed)
    return {name: median(values) for name, values in seconds.items()}


def peak_memory(args: argparse.Namespace, config: Config) -> float:
    """Peak memory in GB of three training steps, in this process."""
    model = build_model(config, args.memory_of, args.device)
    train = trainer(config, model, train_batch(args.size, args.memory_of), args.amp)
    for _ in range(3):
        train()
    if args.device.startswith('cuda'):
        return torch.cuda.max_memory_allocated() / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def measure_memory() -> dict[str, float]:
    """Peak memory in GB of the training of each contender, each in a process of its own."""
    memory = {}
    for contender in CONTENDERS:
        command = [sys.executable, __file__, *sys.argv[1:], '--memory-of', contender]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        memory[contender] = float(done.stdout.split()[-1])
    return memory


def measure_speed(args: argparse.Namespace, config: Config) -> tuple[dict, dict]:
    """Seconds of a training step, and of testing a slice by batch size."""
    one_shot, mask_rcnn = (build_model(config, name, args.device) for name in CONTENDERS)
    train_seconds = time_in_turns(
        {
            name: trainer(config, model, train_batch(args.size, name), args.amp)
            for name, model in zip(CONTENDERS, (one_shot, mask_rcnn))
        },
        args.rounds,
        args.device,
    )

    functions = {}
    for batch_size in args.batch_sizes:
        seg, cls = (test_batch(args.size, batch_size, task) for task in ('seg', 'cls'))
        functions['both tasks', batch_size] = predictor(one_shot, seg)
        functions['class only', batch_size] = predictor(one_shot, cls)
        functions['mask-rcnn', batch_size] = predictor(mask_rcnn, seg)
    test_seconds = time_in_turns(functions, args.rounds, args.device)
    return train_seconds, {key: value / key[1] for key, value in test_seconds.items()}


def training_figures(args: argparse.Namespace, config: Config, num: int, amp: bool) -> dict:
    """Time and, on a GPU, peak memory of a training step on ``num`` slices of each set."""
    on_gpu = args.device.startswith('cuda')
    if on_gpu:
        gc.collect()  # the model before
        torch.cuda.reset_peak_memory_stats()
    model = build_model(config, 'one-shot', args.device)
    train = trainer(config, model, train_batch(args.size, 'one-shot', num), amp)
    seconds = time_in_turns(dict(step=train), args.rounds, args.device)['step']
    return dict(
        config=Path(config.filename).stem,
        batch=f'{num}+{num}',
        precision='mixed' if amp else 'full',
        ms=1e3 * seconds,
        gb=torch.cuda.max_memory_allocated() / 1e9 if on_gpu else None,
        hours=config.train_cfg.max_iters * seconds / 3600,
    )


def print_training(args: argparse.Namespace) -> None:
    """A row for each config, batch size and precision, as each is measured."""
    rows = []
    for config in (load_config(path, args) for path in args.configs):
        for num, amp in itertools.product(args.batch_sizes, (False, True)):
            row = training_figures(args, config, num, amp)
            if not rows:
                print(
                    '| config | slices in a batch | precision | ms per iteration | peak GB | '
                    'hours |\n|---|---|---|---:|---:|---:|'
                )
            gb = '-' if row['gb'] is None else f'{row["gb"]:.1f}'
            print(
                f'| {row["config"]} | {row["batch"]} | {row["precision"]} | {row["ms"]:.0f} | '
                f'{gb} | {row["hours"]:.1f} |',
                flush=True,
            )
            rows.append(row)
    if args.out:
        write_json(rows, args.out)


def main():
    args = parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    if args.training:
        print_training(args)
        return
    config = load_config(args.configs[0], args)
    if args.memory_of:
        print(peak_memory(args, config))
        return

    parameters = sum(p.numel() for p in build_model(config, 'one-shot', 'cpu').parameters())
    memory = measure_memory()
    train_seconds, test_seconds = measure_speed(args, config)
    first = args.batch_sizes[0]
    figures = {
        'parameters': parameters,
        'training step, one-shot / mask-rcnn': train_seconds['one-shot']
        / train_seconds['mask-rcnn'],
        'test, class only / both tasks': test_seconds['class only', first]
        / test_seconds['both tasks', first],
        'test, both tasks / mask-rcnn': test_seconds['both tasks', first]
        / test_seconds['mask-rcnn', first],
        **{f'training step, {name} (s)': value for name, value in train_seconds.items()},
        **{f'peak memory of training, {name} (GB)': value for name, value in memory.items()},
        **{
            f'test, {name}, batch of {size} (s per slice)': value
            for (name, size), value in test_seconds.items()
        },
    }
    table = Table(
        title=f'{Path(config.filename).stem}, {args.size}×{args.size}, {args.device}, '
        f'{torch.get_num_threads()} threads' + (', mixed precision' if args.amp else '')
    )
    table.add_column('figure')
    table.add_column('value', justify='right')
    for name, value in figures.items():
        table.add_row(name, f'{value:,}' if isinstance(value, int) else f'{value:.3f}')
    Console().print(table)
    if args.out:
        write_json(figures, args.out)


if __name__ == '__main__':
    main()
