"""Convert the CNCB-NCOV lesion set to COCO JSON."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmcovid.cli.arguments import (
    add_conversion_arguments,
    add_instance_arguments,
    add_split_argument,
    command,
    make_parser,
)
from mmcovid.data_tools import conversion


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = make_parser(
        'convert cncb-lesions',
        'Convert the CNCB-NCOV lesion set (ROOT/image/<patient>/<n>.jpg and '
        'ROOT/mask/<patient>/<n>.png, or both flat as <patient>_<n>) to COCO JSON with one '
        'instance per connected lesion. '
        'Images stay where they are: use data_prefix=dict(img="ROOT/image/").',
        'data/cncb/ct_lesion_seg --split lesions_trainval=train.txt --out data/cncb/annotations',
    )
    parser.add_argument('root', type=Path, help='folder that holds image/ and mask/')
    split = parser.add_mutually_exclusive_group()
    add_split_argument(split, '<patient>_<n>.jpg or <patient>/<n>.jpg')
    split.add_argument(
        '--test-fraction',
        type=float,
        metavar='F',
        help='draw this share of the patients for lesions_test.json, the others go to '
        'lesions_trainval.json',
    )
    parser.add_argument(
        '--val-fraction',
        type=float,
        metavar='F',
        help='draw this share of the patients for validation, of those in the first split or in '
        'lesions_trainval.json if there is one, and write both parts as two more JSON; with none '
        'of these options all slices go to lesions_all.json',
    )
    parser.add_argument('--seed', type=int, default=0, help='seed of the draws (default: 0)')
    parser.add_argument(
        '--names',
        nargs=2,
        default=['lesions_train', 'lesions_val'],
        metavar=('TRAIN', 'VAL'),
        help='names of these two JSON (default: lesions_train lesions_val)',
    )
    add_instance_arguments(parser)
    parser.add_argument(
        '--skip-missing',
        action='store_true',
        help='only warn of images without a mask and of masks without an image',
    )
    parser.add_argument(
        '--allow-patient-overlap',
        action='store_true',
        help='only warn when split files share a patient',
    )
    add_conversion_arguments(parser)
    return parser.parse_args(argv)


def choose_splits(args: argparse.Namespace, slices: list, lonely: list[str]) -> dict:
    """Slices per JSON name, as the options say."""
    splits = {}
    if args.split:
        splits = {
            name: conversion.read_split(file, slices, lonely)
            for name, file in conversion.name_splits(args.split).items()
        }
        conversion.check_patients_apart(splits, only_warn=args.allow_patient_overlap)
    elif args.test_fraction is not None:
        splits = conversion.random_split(
            slices, args.test_fraction, args.seed, ('lesions_trainval', 'lesions_test')
        )
    if args.val_fraction is None:
        return splits or {'lesions_all': slices}
    first = next(iter(splits.values()), slices)
    return splits | conversion.random_split(first, args.val_fraction, args.seed, args.names)


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    slices, unpaired = conversion.pair_lesion_files(args.root)
    conversion.check_pairs(args.root, unpaired, only_warn=args.skip_missing)
    lonely = [key for keys in unpaired.values() for key in keys]
    splits = choose_splits(args, slices, lonely)
    options: dict[str, Any] = dict(skipped=lonely)
    drawn = dict(test_fraction=args.test_fraction, val_fraction=args.val_fraction)
    drawn = {name: share for name, share in drawn.items() if share is not None}
    if drawn:
        options.update(drawn, seed=args.seed)
    totals = conversion.write_lesion_annotations(
        args.out,
        splits,
        args.min_area,
        args.merge_lesions,
        list(conversion.name_splits(args.split).values()),
        options,
        args.dry_run,
        args.workers,
    )
    print(conversion.format_totals(totals))
    unused = len({*slices}.difference(*splits.values()))
    print(
        f'{unused} of {len(slices)} slices are in no split; '
        f'{"nothing written" if args.dry_run else f"written to {args.out}"}'
    )
