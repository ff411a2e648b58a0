"""Write scans and label maps as a data set of nnU-Net, version 2."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmcovid.classes import LESION_CLASSES, Classes
from mmcovid.cli.arguments import add_budget_arguments, command, make_parser
from mmcovid.data_tools.conversion.nnunet import write_nnunet_dataset
from mmcovid.data_tools.label_maps import find_label_maps, read_patients


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = make_parser(
        'convert nnunet',
        'Write scans with label maps as nnU-Net v2 reads them: imagesTr/, labelsTr/, '
        'dataset.json and splits_final.json, whose folds share no patient. Scans without a label '
        'map become imagesTs/. What nnU-Net predicts is read by mmcovid lesions.',
        'data/phantom/scans --labels data/phantom/scans/masks '
        '--out nnUNet_raw/Dataset501_phantom --folds 3',
    )
    parser.add_argument(
        'scans', type=Path, metavar='DIR', help='folder of volumes and folders of DICOM series'
    )
    parser.add_argument(
        '--labels',
        type=Path,
        required=True,
        metavar='DIR',
        help='folder of label maps, named as the scans, on their grids',
    )
    parser.add_argument(
        '--out', type=Path, required=True, metavar='DIR', help='folder to write, DatasetNNN_NAME'
    )
    parser.add_argument(
        '--classes',
        nargs='+',
        default=list(LESION_CLASSES),
        metavar='NAME',
        help=f'classes of the labels 1, 2 ... (default: {" ".join(LESION_CLASSES)})',
    )
    parser.add_argument('--folds', type=int, default=5, help='folds (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='seed of the folds (default: 0)')
    parser.add_argument(
        '--patients',
        type=Path,
        metavar='CSV',
        help='table with columns scan and patient (default: each scan is of a patient of its own)',
    )
    add_budget_arguments(parser)
    return parser.parse_args(argv)


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    patients = None
    if args.patients:
        patients = read_patients(args.patients, list(find_label_maps(args.labels)))
    written = write_nnunet_dataset(
        args.out,
        args.scans,
        args.labels,
        Classes.of(tuple(args.classes)),
        args.folds,
        args.seed,
        patients,
    )
    print(', '.join(f'{count} {what}' for what, count in written.items()))
    print(f'written to {args.out}; nnU-Net looks for splits_final.json in nnUNet_preprocessed')
