"""Train a model from a config."""

import argparse
import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mmengine.config import Config

from mmcovid.checkpoints.guard import UnsafeCheckpointError, safe_checkpoints
from mmcovid.checkpoints.safetensors import SUFFIX
from mmcovid.cli.arguments import exit_on, make_parser
from mmcovid.cli.runner import add_common_arguments, build_runner, enable_amp, load_config
from mmcovid.utils.errors import TrainingError


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = make_parser(
        'train',
        'Train a model from a config.',
        'one-shot_r18_fpn_lstm2_cncb --work-dir work_dirs/lstm2 --resume',
    )
    parser.add_argument('config', help='its path, or the base name of one of mmcovid')
    parser.add_argument('--amp', action='store_true', help='train with automatic mixed precision')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='go on from this checkpoint, or from the latest in the work dir if none is named',
    )
    parser.add_argument(
        '--audit',
        action='store_true',
        help='first look for patients and slices that are in more than one split of the config, '
        'and stop if there are any ("mmcovid audit" does the same alone)',
    )
    parser.add_argument(
        '--audit-allow',
        action='append',
        default=[],
        metavar='KIND[:PATTERN]',
        help='a known finding of the audit, with which to go on',
    )
    add_common_arguments(parser)
    args = parser.parse_args(argv)
    if args.resume and args.resume.endswith(SUFFIX):
        parser.error(
            f'--resume {args.resume}: no optimiser is in it. Begin with its weights: '
            f'--cfg-options load_from={args.resume}'
        )
    return args


def stop_at_leakage(cfg: Config, allow: list[str]) -> None:
    """Audit the splits of the config; of several processes the first does it.

    Raises:
        SystemExit: If there is leakage.
    """
    if int(os.environ.get('RANK', os.environ.get('SLURM_PROCID', 0))) != 0:
        return
    from mmcovid.data_tools.leakage import audit_splits, report
    from mmcovid.datasets.of_config import audit_splits_of

    audit = audit_splits(audit_splits_of(cfg), allow=allow, workers=os.cpu_count() or 1)
    report(audit, Path(cfg.work_dir, 'leakage'))
    if audit.leaks:
        raise SystemExit('not trained: mend the splits, or accept findings with --audit-allow')


@contextmanager
def exit_on_killed_loading() -> Iterator[None]:
    """End the process in a sentence where one that loads data was killed."""
    try:
        try:
            yield
        except ConnectionError as error:  # while a batch came from it
            raise RuntimeError(f'DataLoader worker: {error}') from error
    except RuntimeError as error:  # PyTorch's comes at any moment, even while the other is handled
        if not str(error).startswith('DataLoader worker'):
            raise
        raise SystemExit(
            f'error: {str(error).rstrip(". ")}: a process that loads data is gone. If the system '
            'killed it, memory was short: lower train_dataloader.num_workers. Go on with --resume.'
        ) from error


@contextmanager
def exit_on_full_disk() -> Iterator[None]:
    """End the process in a sentence where the work dir cannot be written to."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise
        raise SystemExit(
            f'error: {error}: the work dir cannot be written to. Make room, or name another one by '
            '--work-dir. Checkpoints that are there are whole.'
        ) from error


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    with exit_on(OSError):
        cfg = load_config(args)
    if args.audit:
        stop_at_leakage(cfg, args.audit_allow)
    if args.amp:
        enable_amp(cfg)
    if args.resume:
        cfg.resume = True
        cfg.load_from = None if args.resume == 'auto' else args.resume
    with (
        exit_on(TrainingError, UnsafeCheckpointError),
        exit_on_full_disk(),
        exit_on_killed_loading(),
        safe_checkpoints(),
    ):
        build_runner(cfg).train()
