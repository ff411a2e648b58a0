"""Generate a set of phantom CT slices with which to try everything out."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmcovid.cli.arguments import command, make_parser
from mmcovid.data_tools.conversion import format_totals
from mmcovid.data_tools.phantom.dataset import (
    LESION_SPLITS,
    SCANS,
    SLICE_SPLITS,
    SplitSize,
    write_phantom_set,
)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = make_parser(
        'phantom',
        'Draw chest-like CT slices of phantom patients, with and without lesions, and '
        'write them in the layouts of COVIDx-CT (covidx_ct/) and of the CNCB-NCOV lesion set '
        '(ct_lesion_seg/), with COCO annotations, and a few whole scans with masks as NIfTI '
        '(scans/). No patient is in two splits.',
        '--out data/phantom',
    )
    parser.add_argument('--out', type=Path, required=True, metavar='DIR', help='folder to write')
    parser.add_argument(
        '--seed',
        type=int,
        default=0,
        help='another seed gives other patients (default: %(default)s)',
    )
    parser.add_argument(
        '--size', type=int, default=256, help='side of the images in pixels (default: %(default)s)'
    )
    parser.add_argument(
        '--overwrite', action='store_true', help='replace the phantom set that is in DIR'
    )
    for what, splits in (('', SLICE_SPLITS), ('lesion-', LESION_SPLITS)):
        name = 'slices with lesion masks' if what else 'class-labelled slices'
        for split, default in splits.items():
            # the training split goes without a prefix: --patients-per-class
            prefix = f'--{what}' if split == 'train' else f'--{what}{split}-'
            parser.add_argument(
                f'{prefix}patients-per-class',
                type=int,
                default=default.patients,
                metavar='N',
                help=f'{name}, {split} split (default: %(default)s)',
            )
            parser.add_argument(
                f'{prefix}slices-per-patient',
                type=int,
                default=default.slices,
                metavar='K',
                help=f'{name}, {split} split (default: %(default)s)',
            )
    parser.add_argument(
        '--scans-per-class',
        type=int,
        default=SCANS.patients,
        metavar='N',
        help='whole scans; 0 for none (default: %(default)s)',
    )
    parser.add_argument(
        '--slices-per-scan',
        type=int,
        default=SCANS.slices,
        metavar='K',
        help='slices of a whole scan (default: %(default)s)',
    )
    parser.add_argument(
        '--affected-shares',
        type=float,
        nargs='+',
        default=(),
        metavar='SHARE',
        help='shares of the slices of a scan that show lesions, given to the scans of each class '
        'in turn, such as 0.05 0.2 0.6 (default: as drawn, most slices)',
    )
    return parser.parse_args(argv)


def split_sizes(args: argparse.Namespace, what: str = '') -> dict[str, SplitSize]:
    """Sizes of the splits of one of the two sets, as the options say."""
    sizes = {}
    for split in SLICE_SPLITS:
        prefix = what if split == 'train' else f'{what}{split}_'
        sizes[split] = SplitSize(
            getattr(args, f'{prefix}patients_per_class'),
            getattr(args, f'{prefix}slices_per_patient'),
        )
    return sizes


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    slices, lesions = write_phantom_set(
        args.out,
        split_sizes(args),
        split_sizes(args, 'lesion_'),
        SplitSize(args.scans_per_class, args.slices_per_scan),
        args.size,
        args.seed,
        args.overwrite,
        affected_shares=args.affected_shares,
    )
    for split, number in slices.items():
        print(f'{split}_phantom.txt: {number} labelled slices')
    print(format_totals(lesions))
    print(f'scans: {3 * args.scans_per_class} of {args.slices_per_scan} slices')
    print(f'written to {args.out}')
