"""What commands share that build a runner from a config."""

import argparse
import os
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, DictAction
from mmengine.dist import is_main_process
from mmengine.runner import Runner

from mmcovid.cli.arguments import add_budget_arguments
from mmcovid.cli.engine_arguments import is_exported
from mmcovid.engine import ForgetConfigHook
from mmcovid.evaluation import DumpSlices
from mmcovid.utils.configs import find_config


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of every script that builds a runner from a config."""
    parser.add_argument(
        '--work-dir',
        help='folder of logs and results (default: the work_dir of the config, or '
        'work_dirs/<name of the config>)',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='change entries of the config, such as train_dataloader.batch_size=2 or '
        'model.test_cfg.rcnn.score_thr=0.3; lists are written "[a,b]", with no space',
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='what started the processes of a distributed run',
    )
    add_budget_arguments(parser)
    # torch.distributed.launch says it as an argument, torchrun in the environment.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)


def load_config(args: argparse.Namespace) -> Config:
    """Read the config and apply the common options to it.

    Args:
        args (argparse.Namespace): With ``config``, a path or a base name, and what
            :func:`add_common_arguments` adds.

    Returns:
        Config: The config with ``launcher`` and ``work_dir`` set.

    Raises:
        FileNotFoundError: If there is no such config.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = Config.fromfile(find_config(args.config))
    if args.cfg_options:
        cfg.merge_from_dict(args.cfg_options)
    cfg.launcher = args.launcher
    if args.work_dir or not cfg.get('work_dir'):
        cfg.work_dir = args.work_dir or str(Path('work_dirs', Path(args.config).stem))
    return cfg


def enable_amp(cfg: Config) -> None:
    """Train in float16 with a loss scale on CUDA, in bfloat16 on a CPU.

    An optimiser wrapper that the config chose itself is kept.
    """
    chosen = cfg.optim_wrapper.get('type', 'OptimWrapper')
    if chosen != 'OptimWrapper':
        print(f'--amp: the config has chosen {chosen} itself, which is kept')
    elif torch.cuda.is_available():
        cfg.optim_wrapper.update(type='AmpOptimWrapper', loss_scale='dynamic')
    else:
        cfg.optim_wrapper.type = 'mmcovid.BF16OptimWrapper'
        onednn = torch.backends.mkldnn.is_available()
        if not (onednn and torch.ops.mkldnn._is_mkldnn_bf16_supported()):
            print('--amp: this CPU emulates bfloat16; without --amp a training takes far less time')


def set_temperature(cfg: Config, temperature: float) -> None:
    """Divide the image logits of a config's model by a temperature before they become scores.

    Raises:
        ValueError: The model does not classify slices.
    """
    heads = [cfg.model[name] for name in ('attention_head', 'image_head') if name in cfg.model]
    if not heads:
        raise ValueError('this model does not classify slices: it has no temperature')
    heads[0].temperature = temperature


def set_weights(
    cfg: Config, checkpoint: str, temperature: float | None = None, **engine: Any
) -> None:
    """Let a config take a checkpoint, or an exported model in place of its own, for a test.

    Args:
        cfg (Config): To change.
        checkpoint (str): Path of either.
        temperature (float, optional): What image logits are divided by. Defaults to None: as the
            model says.
        **engine: How an exported model is computed, as arguments of
            :class:`~mmcovid.deployment.onnx_detector.OnnxDetector`.
    """
    cfg.resume = False
    if is_exported(checkpoint):
        cfg.load_from = None
        cfg.model = dict(
            type='mmcovid.OnnxDetector', path=checkpoint, temperature=temperature, **engine
        )
        return
    cfg.load_from = checkpoint
    if temperature is not None:
        set_temperature(cfg, temperature)


def test_and_dump(runner: Runner, path: str | Path) -> dict:
    """Test, and write the predictions to a pickle, which is there when it is complete.

    Returns:
        dict: Figures by name.
    """
    # renamed at the end: a broken run must not leave half a pickle
    partial = f'{path}.part.pkl'
    dump = DumpSlices(out_file_path=partial)
    dump.dataset_meta = runner.test_dataloader.dataset.metainfo
    runner.test_evaluator.metrics.append(dump)
    metrics = runner.test()
    if is_main_process():
        os.replace(partial, path)
    return metrics


def build_runner(cfg: Config) -> Runner:
    """Build the runner; without CUDA, processes that torchrun started join by gloo.

    MMEngine joins them itself, but on CUDA devices only. Nothing in a checkpoint is run.
    """
    if cfg.launcher == 'pytorch' and not torch.cuda.is_available():
        torch.distributed.init_process_group('gloo')
    runner = Runner.from_cfg(cfg)
    runner.register_hook(ForgetConfigHook())
    return runner
