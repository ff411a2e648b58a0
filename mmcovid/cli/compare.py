"""Train and test several systems, with several seeds, and write one table of their figures.

What is done is not repeated: the same command goes on where it was stopped. A
changed config is trained anew, in another folder.
"""

import argparse
import signal
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import DictAction

from mmcovid.analysis.comparison.run import Comparison
from mmcovid.analysis.comparison.systems import read_systems, with_seeds
from mmcovid.analysis.evaluation import Settings, load_models, write_report
from mmcovid.cli.arguments import make_parser


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = make_parser(
        'compare',
        __doc__,
        'configs/phantom/comparison.yml --seeds 0 1 2 --out work_dirs/comparison',
    )
    parser.add_argument(
        'systems',
        nargs='+',
        metavar='CONFIG',
        help='configs (.py), and lists of systems (.yml) such as configs/phantom/comparison.yml',
    )
    parser.add_argument(
        '--out',
        default='work_dirs/comparison',
        metavar='DIR',
        help='folder of the table and of the systems (default: %(default)s)',
    )
    parser.add_argument(
        '--only',
        nargs='+',
        default=[],
        metavar='NAME',
        help='only these systems, and those whose checkpoints they need',
    )
    parser.add_argument(
        '--seeds',
        nargs='+',
        type=int,
        default=[],
        metavar='SEED',
        help='train each system with each of these seeds; the table has mean and standard '
        'deviation',
    )
    parser.add_argument(
        '--report',
        nargs='+',
        default=[],
        metavar='NAME',
        help='also write a report (mmcovid report) of these systems to '
        'OUT/report, with the paired differences of the others from the first',
    )
    parser.add_argument(
        '--others',
        nargs='+',
        default=[],
        metavar='[NAME=]FILE',
        help='predictions of other models for that report, as mmcovid report takes them: of '
        'mmcovid test --out, or a CSV table of scores',
    )
    parser.add_argument('--dry-run', action='store_true', help='say what would be done')
    parser.add_argument('--amp', action='store_true', help='train with mixed precision')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='change entries of the config of every system, such as train_cfg.max_iters=100',
    )
    args = parser.parse_args(argv)
    if args.others and not args.report:
        parser.error('--others stand in a report: name systems for it by --report')
    return args


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    # as on Ctrl-C: the script that runs is ended and what is known is written
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        systems = read_systems(args.systems)
        if args.seeds:
            systems = with_seeds(systems, args.seeds)
        comparison = Comparison(systems, args.out, args.cfg_options, args.amp)
        comparison.select(args.report)
        load_models(args.others)  # refused now, and not after days of training
        if args.dry_run:
            print(comparison.plan(args.only))
            return
        failed = comparison.run(args.only)
        if args.report:
            models = load_models([*comparison.predictions(args.report), *args.others])
            write_report(models, Path(args.out, 'report'), Settings())
    except (OSError, ValueError, RuntimeError) as error:
        raise SystemExit(f'error: {error}') from error
    except KeyboardInterrupt:
        raise SystemExit('stopped; the same command goes on from here') from None
    table = Path(args.out, 'comparison.md')
    print(f'\n{table.read_text(encoding="utf-8")}\nwritten to {table} and {table.stem}.csv')
    if failed:
        raise SystemExit('\n'.join([f'{len(failed)} failed:', *map(': '.join, failed.items())]))
