"""Test a checkpoint on both tasks; print one table and write it as JSON."""
import argparse
import os
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import is_main_process

from mmcovid.cards.record import record_test
from mmcovid.checkpoints.guard import safe_checkpoints
from mmcovid.cli.common import add_common_arguments, build_runner, load_config
from mmcovid.evaluation import DumpSlices
from mmcovid.reporting.results_table import format_results
from mmcovid.utils.files import write_json


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='path of the config')
    parser.add_argument('checkpoint', help='path of the checkpoint')
    parser.add_argument(
        '--out', metavar='PREDICTIONS.pkl', help='dump the predictions to this pickle file')
    parser.add_argument('--show-dir', metavar='DIR', help='draw every slice into this folder')
    add_common_arguments(parser)
    args = parser.parse_args(argv)
    if args.out and not args.out.endswith(('.pkl', '.pickle')):
        parser.error(f'--out {args.out}: the file is a pickle, name it .pkl or .pickle')
    if not os.path.isfile(args.checkpoint):
        parser.error(f'there is no checkpoint {args.checkpoint}')
    return args


def draw_into(cfg: Config, folder: str) -> None:
    """Turn on drawing; an absolute path keeps the hook from adding work dir and time stamp."""
    hook = cfg.get('default_hooks', {}).get('visualization')
    if hook is None:
        raise SystemExit('--show-dir needs default_hooks.visualization in the config, as in '
                         'configs/_base_/default_runtime.py')
    hook.draw = True
    hook.test_out_dir = str(Path(folder).resolve())


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    cfg = load_config(args)
    cfg.load_from = args.checkpoint
    cfg.resume = False
    if args.show_dir:
        draw_into(cfg, args.show_dir)

    runner = build_runner(cfg)
    partial = None
    if args.out:
        # Renamed when complete: a broken run must not leave half a pickle.
        partial = f'{args.out}.part.pkl'
        dump = DumpSlices(out_file_path=partial)
        dump.dataset_meta = runner.test_dataloader.dataset.metainfo
        runner.test_evaluator.metrics.append(dump)
    with safe_checkpoints():
        metrics = runner.test()

    if is_main_process():
        if partial:
            os.replace(partial, args.out)
        results = Path(runner.work_dir, 'test_results.json')
        write_json(metrics, results)
        print(f'\n{format_results(metrics)}\n\nwritten to {results}')
        try:
            card = record_test(cfg, runner.test_dataloader.dataset, args.checkpoint, metrics)
        except Exception as error:  # the figures are there, and hours of testing may be
            print(f'not added to the model card beside the checkpoint: {error}')
        else:
            print(f'added to {card}' if card else 'no model card beside the checkpoint')
