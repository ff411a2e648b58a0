"""Convert lists of COVIDx-CT, versions 1 to 3, or of the paper's author to annotation JSON."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmcovid.cli.arguments import add_conversion_arguments, command, make_parser
from mmcovid.data_tools import conversion


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = make_parser(
        'convert covidx-ct',
        'Convert lists of CT slices with their class, as COVIDx-CT 1 to 3 or the '
        "paper's author have them, to JSON that SliceDataset reads. Every image is looked for and "
        'its size read. Images stay where they are, unless they are cut to their boxes.',
        'train=train_COVIDx-CT.txt --images data/cncb/covidx_ct/2A_images '
        '--out data/cncb/covidx_ct/annotations',
    )
    parser.add_argument(
        'lists',
        nargs='+',
        metavar='[NAME=]LIST',
        help='text file with lines "filename class [xmin ymin xmax ymax]" or '
        '"<class>_<patient>_<scan>_<slice>.png", or JSON of this script; makes NAME.json, or a '
        'JSON of the same name',
    )
    parser.add_argument(
        '--images', type=Path, required=True, metavar='DIR', help='folder of the images'
    )
    parser.add_argument(
        '--per-class',
        type=int,
        metavar='N',
        help='draw N slices of each class from each list, from as many patients as there are',
    )
    parser.add_argument('--seed', type=int, default=0, help='seed of that draw (default: 0)')
    parser.add_argument(
        '--crop',
        action='store_true',
        help='write the images, cut to the box of the body, to OUT/images and refer to these',
    )
    parser.add_argument(
        '--author-list',
        action='store_true',
        help="also write OUT/<list>_author.txt with names as in the author's lists",
    )
    parser.add_argument(
        '--skip-missing', action='store_true', help='only warn of images that are not there'
    )
    parser.add_argument(
        '--allow-patient-overlap', action='store_true', help='only warn when lists share a patient'
    )
    add_conversion_arguments(parser)
    return parser.parse_args(argv)


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    splits, missing = conversion.read_slice_splits(args.lists, args.images, args.skip_missing)
    conversion.check_patients_apart(splits, only_warn=args.allow_patient_overlap)
    options = dict(skipped=missing)
    if args.per_class is not None:
        options.update(per_class=args.per_class, seed=args.seed)
        splits = {
            name: conversion.sample_balanced(entries, args.per_class, args.seed)
            for name, entries in splits.items()
        }
    totals = conversion.write_slice_annotations(
        args.out,
        splits,
        args.images,
        'COVIDx-CT',
        args.crop,
        list(conversion.name_splits(args.lists).values()),
        options,
        args.dry_run,
        args.workers,
    )
    if args.author_list and not args.dry_run:
        for name, entries in splits.items():
            conversion.write_author_list(entries, args.out / f'{name}_author.txt')
    print(conversion.format_slice_totals(totals))
    print('nothing written' if args.dry_run else f'written to {args.out}')
