"""Test a checkpoint on both tasks; print one table and write it as JSON."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import is_main_process

from mmcovid.cards.record import record_test
from mmcovid.checkpoints.guard import UnsafeCheckpointError, safe_checkpoints
from mmcovid.cli.arguments import exit_on, make_parser
from mmcovid.cli.engine_arguments import (
    add_engine_arguments,
    check_engine_arguments,
    engine_arguments,
)
from mmcovid.cli.runner import (
    add_common_arguments,
    build_runner,
    load_config,
    set_weights,
    test_and_dump,
)
from mmcovid.reporting.results_table import format_results
from mmcovid.statistics.class_scores import read_temperature
from mmcovid.utils.files import write_json


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = make_parser(
        'test',
        'Test a checkpoint on both tasks; print one table and write it as JSON.',
        'one-shot_r18_fpn_lstm2_cncb work_dirs/lstm2/iter_30000.pth --out predictions.pkl',
    )
    parser.add_argument('config', help='its path, or the base name of one of mmcovid')
    parser.add_argument(
        'checkpoint', help='path of the checkpoint, or .onnx file of mmcovid export'
    )
    parser.add_argument(
        '--out', metavar='PREDICTIONS.pkl', help='dump the predictions to this pickle file'
    )
    parser.add_argument('--show-dir', metavar='DIR', help='draw every slice into this folder')
    parser.add_argument(
        '--temperature',
        metavar='T',
        help='what image logits are divided by to become scores: a '
        'number, or temperature.json of "mmcovid report" (default: that of the config)',
    )
    add_engine_arguments(parser)
    add_common_arguments(parser)
    args = parser.parse_args(argv)
    if args.out and not args.out.endswith(('.pkl', '.pickle')):
        parser.error(f'--out {args.out}: the file is a pickle, name it .pkl or .pickle')
    if not os.path.isfile(args.checkpoint):
        parser.error(f'there is no checkpoint {args.checkpoint}')
    check_engine_arguments(parser, args, args.checkpoint)
    return args


def draw_into(cfg: Config, folder: str) -> None:
    """Turn on drawing; an absolute path keeps the hook from adding work dir and time stamp."""
    hook = cfg.get('default_hooks', {}).get('visualization')
    if hook is None:
        raise ValueError(
            '--show-dir needs default_hooks.visualization in the config, as in '
            'configs/_base_/default_runtime.py'
        )
    hook.draw = True
    hook.test_out_dir = str(Path(folder).resolve())


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    with exit_on(OSError, ValueError):
        cfg = load_config(args)
        temperature = None if args.temperature is None else read_temperature(args.temperature)
        set_weights(cfg, args.checkpoint, temperature, **engine_arguments(args))
        if args.show_dir:
            draw_into(cfg, args.show_dir)
        runner = build_runner(cfg)
    with exit_on(UnsafeCheckpointError), safe_checkpoints():
        metrics = test_and_dump(runner, args.out) if args.out else runner.test()

    if is_main_process():
        results = Path(runner.work_dir, 'test_results.json')
        write_json(metrics, results)
        print(f'\n{format_results(metrics)}\n\nwritten to {results}')
        try:
            card = record_test(cfg, runner.test_dataloader.dataset, args.checkpoint, metrics)
        except Exception as error:  # the figures are there, and hours of testing may be
            print(f'not added to the model card beside the checkpoint: {error}')
        else:
            print(f'added to {card}' if card else 'no model card beside the checkpoint')
