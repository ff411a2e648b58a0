"""Train and test several systems and write one table of their figures.

What is done is not repeated: the same command goes on where it was stopped. A
changed config is trained anew, in another folder.
"""
import argparse
import signal
import sys
from pathlib import Path

from mmengine.config import DictAction

from mmcovid.apis.comparison import Comparison
from mmcovid.apis.systems import read_systems

TOOLS = Path(__file__).resolve().parents[1]


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'systems', nargs='+', metavar='CONFIG',
        help='configs (.py), and lists of systems (.yml) such as configs/phantom/comparison.yml')
    parser.add_argument(
        '--out', default='work_dirs/comparison', metavar='DIR',
        help='folder of the table and of the systems (default: %(default)s)')
    parser.add_argument(
        '--only', nargs='+', default=[], metavar='NAME',
        help='only these systems, and those whose checkpoints they need')
    parser.add_argument('--dry-run', action='store_true', help='say what would be done')
    parser.add_argument('--amp', action='store_true', help='train with mixed precision')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
        help='change entries of the config of every system, such as train_cfg.max_iters=100')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    # as on Ctrl-C: the script that runs is ended and what is known is written
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        comparison = Comparison(
            read_systems(args.systems), args.out, TOOLS, args.cfg_options, args.amp)
        if args.dry_run:
            print(comparison.plan(args.only))
            return
        failed = comparison.run(args.only)
    except (ValueError, RuntimeError) as error:
        raise SystemExit(f'error: {error}') from error
    except KeyboardInterrupt:
        raise SystemExit('stopped; the same command goes on from here') from None
    table = Path(args.out, 'comparison.md')
    print(f'\n{table.read_text(encoding="utf-8")}\nwritten to {table} and {table.stem}.csv')
    if failed:
        raise SystemExit('\n'.join([f'{len(failed)} failed:', *map(': '.join, failed.items())]))


if __name__ == '__main__':
    main(sys.argv[1:])
