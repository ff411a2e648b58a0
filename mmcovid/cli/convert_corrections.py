"""Convert label maps that readers corrected to slices with masks, for training."""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mmcovid.cli.arguments import (
    add_conversion_arguments,
    add_instance_arguments,
    command,
    make_parser,
)
from mmcovid.ct import LEVEL, WIDTH
from mmcovid.data_tools import conversion
from mmcovid.utils.escape import printable


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = make_parser(
        'convert corrections',
        'Convert label maps that readers corrected, in 3D Slicer or ITK-SNAP for instance, to a '
        'lesion set: slices as pictures (OUT/image), masks (OUT/mask) and COCO JSON '
        '(OUT/annotations) with one instance per connected lesion.',
        'scan.nii.gz corrected.seg.nrrd --patient 17 --original results/scan/labels.nii.gz '
        '--out data/corrections\n'
        '  mmcovid convert corrections corrections.csv --out data/corrections',
    )
    parser.add_argument(
        'scan',
        metavar='SCAN|LIST',
        help='volume or folder of a DICOM series; or a CSV file with the columns scan, labels and, '
        'if wanted, patient and original, one scan a line',
    )
    parser.add_argument(
        'labels',
        nargs='?',
        metavar='LABELS',
        help='corrected label map on the grid of the scan: .nii, .nii.gz, .nrrd, .mha, a .seg.nrrd '
        'of 3D Slicer or a DICOM segmentation',
    )
    parser.add_argument(
        '--patient',
        metavar='ID',
        help='whose scan it is, by which sets are split (default: the name of the scan)',
    )
    parser.add_argument(
        '--original',
        metavar='LABELS',
        help='label map that the reader began with, to count what was changed',
    )
    parser.add_argument(
        '--changed-only',
        action='store_true',
        help='leave out slices that are as in the original',
    )
    parser.add_argument(
        '--name',
        action='append',
        default=[],
        metavar='SEGMENT=CLASS',
        help='class of a segment, by its name or value, that is called otherwise than the class: '
        'lung, ggo, consolidation, or none to leave it out; repeat for each segment',
    )
    parser.add_argument(
        '--window',
        nargs=2,
        type=float,
        default=[LEVEL, WIDTH],
        metavar=('LEVEL', 'WIDTH'),
        help='window of the pictures, in HU (default: %(default)s)',
    )
    add_instance_arguments(parser)
    add_conversion_arguments(parser)
    args = parser.parse_args(argv)
    if args.labels is None and not args.scan.lower().endswith('.csv'):
        parser.error('give the corrected label map after the scan, or a list that ends in .csv')
    if args.labels is None and (args.patient or args.original):
        parser.error('--patient and --original are of one scan: a list has columns for them')
    if unnamed := [name for name in args.name if '=' not in name]:
        parser.error(f'--name {unnamed[0]}: is not of the form SEGMENT=CLASS')
    return args


def find_corrections(args: argparse.Namespace) -> list[conversion.Correction]:
    """What the arguments name."""
    if args.labels is None:
        return conversion.read_corrections(args.scan)
    patient = args.patient or conversion.patient_of_scan(args.scan)
    return [conversion.Correction(args.scan, args.labels, patient, args.original)]


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    corrections = find_corrections(args)
    with tempfile.TemporaryDirectory() as folder:
        scans, totals = conversion.write_corrections(
            corrections,
            Path(folder, 'dry') if args.dry_run else args.out,
            dict(name.rsplit('=', 1) for name in args.name),
            tuple(args.window),
            args.changed_only,
            args.min_area,
            args.merge_lesions,
            args.workers,
        )
    print(printable('\n'.join(map(str, scans))))
    print(conversion.format_totals({'lesions_corrected': totals}))
    print('nothing written' if args.dry_run else f'written to {args.out}')
