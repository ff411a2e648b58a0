"""Speed, memory and size of a one-shot model, beside a Mask R-CNN of the same parts.

The Mask R-CNN has the same backbone, neck, heads and test settings, from the
same config. All contenders take turns in one process, so that a noisy machine
disturbs them alike; read the ratios rather than the seconds. Weights are random
and slices are noise: the number of detections is then at its maximum.
"""
import argparse
import copy
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

from mmcovid.utils.files import write_json

CONTENDERS = ('one-shot', 'mask-rcnn')


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config of a one-shot model')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--size', type=int, default=512, help='height and width of a slice')
    parser.add_argument('--batch-sizes', type=int, nargs='+', default=[1, 2, 4, 8])
    parser.add_argument('--rounds', type=int, default=7, help='timed rounds of each contender')
    parser.add_argument('--threads', type=int, help='CPU threads (default: all)')
    parser.add_argument('--amp', action='store_true', help='train in bfloat16')
    parser.add_argument('--out', type=Path, help='write the figures to this JSON file')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    # one contender in a process of its own, to measure its peak memory
    parser.add_argument('--memory-of', choices=CONTENDERS, help=argparse.SUPPRESS)
    return parser.parse_args()


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
        batch_size, [(3, size, size)] * batch_size, num_classes=3, with_mask=True)
    for sample in batch['data_samples']:
        sample.set_metainfo(dict(task=task, scale_factor=(1.0, 1.0)))
    return batch


def train_batch(size: int, contender: str) -> dict:
    """One slice with four lesions, and for the one-shot model one with an image label."""
    seg = demo_mm_inputs(1, [(3, size, size)], num_items=[4], num_classes=3, with_mask=True)
    if contender == 'mask-rcnn':
        return seg
    cls = test_batch(size, 1, 'cls')
    cls['data_samples'][0].gt_label = torch.tensor([1])
    return {key: dict(seg=seg[key] + [None], cls=[None] + cls[key]) for key in seg}


def predictor(model, batch: dict):
    """A function that predicts the batch once."""

    def predict():
        with torch.no_grad():
            model.eval().test_step(copy.deepcopy(batch))

    return predict


def trainer(config: Config, contender: str, model: torch.nn.Module, args: argparse.Namespace):
    """A function that trains once, with the optimiser of the config."""
    cfg = copy.deepcopy(config.optim_wrapper)
    if args.amp:
        cfg.type = 'mmcovid.BF16OptimWrapper'
    optim_wrapper = build_optim_wrapper(model, cfg)
    batch = train_batch(args.size, contender)

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
    for number in track(range(rounds + 1), description='  rounds', transient=True):
        for name, function in functions.items():
            elapsed = once(function)
            if number:  # the first round warms up
                seconds[name].append(elapsed)
    return {name: median(values) for name, values in seconds.items()}


def peak_memory(args: argparse.Namespace, config: Config) -> float:
    """Peak memory in GB of three training steps, in this process."""
    model = build_model(config, args.memory_of, args.device)
    train = trainer(config, args.memory_of, model, args)
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
            name: trainer(config, name, model, args)
            for name, model in zip(CONTENDERS, (one_shot, mask_rcnn))
        }, args.rounds, args.device)

    functions = {}
    for batch_size in args.batch_sizes:
        seg, cls = (test_batch(args.size, batch_size, task) for task in ('seg', 'cls'))
        functions['both tasks', batch_size] = predictor(one_shot, seg)
        functions['class only', batch_size] = predictor(one_shot, cls)
        functions['mask-rcnn', batch_size] = predictor(mask_rcnn, seg)
    test_seconds = time_in_turns(functions, args.rounds, args.device)
    return train_seconds, {key: value / key[1] for key, value in test_seconds.items()}


def main():
    args = parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    config = Config.fromfile(args.config)
    config.merge_from_dict(args.cfg_options or {})
    init_default_scope(config.get('default_scope', 'mmdet'))
    torch.manual_seed(0)
    if args.memory_of:
        print(peak_memory(args, config))
        return

    parameters = sum(p.numel() for p in build_model(config, 'one-shot', 'cpu').parameters())
    memory = measure_memory()
    train_seconds, test_seconds = measure_speed(args, config)
    first = args.batch_sizes[0]
    figures = {
        'parameters': parameters,
        'training step, one-shot / mask-rcnn':
        train_seconds['one-shot'] / train_seconds['mask-rcnn'],
        'test, class only / both tasks':
        test_seconds['class only', first] / test_seconds['both tasks', first],
        'test, both tasks / mask-rcnn':
        test_seconds['both tasks', first] / test_seconds['mask-rcnn', first],
        **{f'training step, {name} (s)': value for name, value in train_seconds.items()},
        **{f'peak memory of training, {name} (GB)': value for name, value in memory.items()},
        **{f'test, {name}, batch of {size} (s per slice)': value
           for (name, size), value in test_seconds.items()},
    }
    table = Table(title=f'{Path(args.config).stem}, {args.size}×{args.size}, {args.device}, '
                  f'{torch.get_num_threads()} threads' + (', mixed precision' if args.amp else ''))
    table.add_column('figure')
    table.add_column('value', justify='right')
    for name, value in figures.items():
        table.add_row(name, f'{value:,}' if isinstance(value, int) else f'{value:.3f}')
    Console().print(table)
    if args.out:
        write_json(figures, args.out)


if __name__ == '__main__':
    main()
