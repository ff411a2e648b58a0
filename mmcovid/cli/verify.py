"""Read every file of the sets of a config, or of annotations, and report what is wrong."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmcovid.cli.arguments import add_budget_arguments, command, make_parser
from mmcovid.data_tools import verification
from mmcovid.utils.escape import printable
from mmcovid.utils.versions import check_stack


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = make_parser(
        'verify',
        __doc__ + ' Ends with exit status 1 if there are errors.',
        'configs/phantom/one-shot_r18_fpn_lstm2_phantom.py',
    )
    parser.add_argument(
        'sets',
        nargs='+',
        type=Path,
        metavar='CONFIG|JSON',
        help='config (.py), annotation JSON of the converters, or text list',
    )
    parser.add_argument(
        '--images',
        type=Path,
        metavar='DIR',
        help='folder of the images of JSON or list (default: the one that the JSON names)',
    )
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('work_dirs/verification'),
        metavar='DIR',
        help='folder for verification.json and quarantine.txt (default: work_dirs/verification)',
    )
    parser.add_argument(
        '--workers', type=int, default=4, metavar='N', help='threads that read files (default: 4)'
    )
    add_budget_arguments(parser)
    return parser.parse_args(argv)


def sets_of_config(path: Path) -> list[verification.SliceSet]:
    """The sets that a config reads, by the datasets themselves."""
    check_stack()
    from mmengine.config import Config

    from mmcovid.datasets.of_config import slice_sets

    return slice_sets(Config.fromfile(path))


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = parse_args(argv)
    sets = []
    for path in args.sets:
        sets += (
            sets_of_config(path)
            if path.suffix == '.py'
            else [verification.read_set(path, args.images)]
        )
    findings = verification.verify(sets, args.workers)
    verification.write_verification(args.out, sets, findings)
    print(printable(verification.format_findings(sets, findings)))
    errors = [found for found in findings if found.problem in verification.ERRORS]
    print(
        f'{len(errors)} errors, {len(findings) - len(errors)} warnings in '
        f'{sum(len(each.slices) for each in sets)} slices; written to {args.out}'
    )
    return 1 if errors else 0
