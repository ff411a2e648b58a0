"""Convert the slices of iCTCF, two classes, to annotation JSON."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmcovid.cli.arguments import add_conversion_arguments, add_split_argument, command, make_parser
from mmcovid.data_tools import conversion


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = make_parser(
        'convert ictcf',
        'Convert iCTCF (nCT<n>.jpg: no COVID-19, class 0; pCT<n>.jpg: COVID-19, class '
        '2; in any folders below ROOT, also as 0_nCT<n>.jpg and 2_pCT<n>.jpg) to JSON that '
        'SliceDataset reads. Slices that tell nothing (NiCT<n>.jpg) are left out and counted.',
        'data/ictcf --train-per-class 1000 --out data/ictcf/annotations',
    )
    parser.add_argument('root', type=Path, help='folder into which iCTCF was unpacked')
    split = parser.add_mutually_exclusive_group()
    add_split_argument(split, '2_pCT<n>.jpg or pCT<n>.jpg')
    split.add_argument(
        '--train-per-class',
        type=int,
        metavar='N',
        help='draw N slices of each class for ictcf_train.json, the others go to ictcf_test.json; '
        'with neither option all slices go to ictcf_test.json. No patient is known: slices of '
        'one may be in both',
    )
    parser.add_argument(
        '--val-per-class',
        type=int,
        metavar='N',
        help='draw N slices of each class out of the first split, or of those that '
        '--train-per-class drew, for ictcf_val.json; the rest of them is ictcf_train.json',
    )
    parser.add_argument('--seed', type=int, default=0, help='seed of the draws (default: 0)')
    add_conversion_arguments(parser)
    return parser.parse_args(argv)


def choose_splits(args: argparse.Namespace, slices: list) -> dict:
    """Slices per JSON name, as the options say."""
    if args.split:
        splits = {
            name: conversion.read_ictcf_split(file, slices)
            for name, file in conversion.name_splits(args.split).items()
        }
    elif args.train_per_class is None:
        return {'ictcf_test': slices}
    else:
        train, rest = draw(slices, args.train_per_class, args.seed)
        splits = {'ictcf_train': train, 'ictcf_test': rest}
    if args.val_per_class is not None:
        first = next(iter(splits.values()))
        splits['ictcf_val'], splits['ictcf_train'] = draw(first, args.val_per_class, args.seed)
    return splits


def draw(slices: list, per_class: int, seed: int) -> tuple[list, list]:
    """As many slices of each class, and all others."""
    drawn = conversion.sample_balanced(slices, per_class, seed)
    taken = set(drawn)
    return drawn, [each for each in slices if each not in taken]


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    slices, left_out = conversion.list_ictcf_slices(args.root)
    splits = choose_splits(args, slices)
    options = dict(left_out=left_out)
    drawn = dict(train_per_class=args.train_per_class, val_per_class=args.val_per_class)
    drawn = {name: number for name, number in drawn.items() if number is not None}
    if drawn:
        options.update(drawn, seed=args.seed)
    totals = conversion.write_slice_annotations(
        args.out,
        splits,
        args.root,
        'iCTCF',
        lists=list(conversion.name_splits(args.split).values()),
        options=options,
        dry_run=args.dry_run,
        workers=args.workers,
    )
    print(conversion.format_slice_totals(totals))
    print(
        f'{left_out} slices that tell nothing (NiCT) are left out; '
        f'{"nothing written" if args.dry_run else f"written to {args.out}"}'
    )
