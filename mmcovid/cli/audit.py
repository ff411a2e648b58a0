"""Find patients and slices that are in more than one split, in the lesion and the slice set.

Exit status: 0 no leakage, 1 leakage found, 2 the audit could not be made.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from mmcovid.cli.arguments import (
    add_budget_arguments,
    add_cfg_options,
    make_parser,
    read_cfg_options,
)
from mmcovid.data_tools.leakage import (
    AuditSplit,
    audit_splits,
    report,
    splits_of_files,
)
from mmcovid.data_tools.leakage.audit import KINDS, MIN_SIMILARITY
from mmcovid.utils.versions import check_stack


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = make_parser(
        'audit',
        __doc__,
        'configs/phantom/one-shot_r18_fpn_lstm2_phantom.py --out work_dirs/leakage',
    )
    parser.add_argument(
        'inputs',
        nargs='+',
        metavar='CONFIG | [ROLE=]FILE',
        help='a config, whose training, validation and test splits are compared; or annotation '
        'files, the training split first: COCO JSON of lesions, lists or JSON of slices. Files of '
        'one ROLE, such as train=a.json train=b.txt, are not compared with each other',
    )
    parser.add_argument(
        '--images',
        action='append',
        default=[],
        metavar='DIR',
        help='folder that the names in an annotation file refer to; once for all files, or once '
        'for each, in their order',
    )
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('work_dirs/leakage'),
        metavar='DIR',
        help='where to write leakage.json and pictures of pairs (default: %(default)s)',
    )
    parser.add_argument(
        '--similarity',
        type=float,
        default=MIN_SIMILARITY,
        metavar='S',
        help='slices at least so similar are near duplicates (default: %(default)s)',
    )
    parser.add_argument(
        '--shared-ids',
        action='store_true',
        help='patient ids of the lesion set and of the slice set mean the same patients',
    )
    parser.add_argument(
        '--allow',
        action='append',
        default=[],
        metavar='KIND[:PATTERN]',
        help=f'a known finding, of kind {", ".join(KINDS[:3])}; the pattern, with * and ?, is that '
        'of a patient id or a file name, all of the kind without it. Reported, but no leakage',
    )
    parser.add_argument(
        '--pictures',
        type=int,
        default=10,
        metavar='N',
        help='draw the N worst pairs of each kind (default: %(default)s)',
    )
    parser.add_argument(
        '--workers',
        type=int,
        default=os.cpu_count() or 1,
        metavar='N',
        help='threads (default: as many as there are cores)',
    )
    add_cfg_options(parser)
    add_budget_arguments(parser)
    args = parser.parse_args(argv)
    if not args.inputs[0].endswith('.py') and not args.images:
        parser.error('annotation files need --images, the folder that their names refer to')
    return args


def read_splits(args: argparse.Namespace) -> list[AuditSplit]:
    """The splits of the config, or of the annotation files."""
    if not args.inputs[0].endswith('.py'):
        return splits_of_files(args.inputs, args.images)
    if len(args.inputs) > 1:
        raise ValueError('one config at a time; it names all splits that are compared.')
    check_stack()
    from mmengine.config import Config

    cfg = Config.fromfile(args.inputs[0])
    cfg.merge_from_dict(read_cfg_options(args))
    from mmcovid.datasets.of_config import audit_splits_of

    return audit_splits_of(cfg)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    try:
        audit = audit_splits(
            read_splits(args), args.similarity, args.shared_ids, args.allow, args.workers
        )
        report(audit, args.out, args.pictures)
    except (ImportError, OSError, TypeError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 1 if audit.leaks else 0
