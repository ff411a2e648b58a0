"""Convert the CNCB-NCOV lesion set to COCO JSON."""
import argparse
from pathlib import Path

from mmcovid.datasets import conversion


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Convert the CNCB-NCOV lesion set (ROOT/image/<patient>/<n>.jpg and '
        'ROOT/mask/<patient>/<n>.png) to COCO JSON with one instance per connected lesion. '
        'Images stay where they are: use data_prefix=dict(img="ROOT/image/").')
    parser.add_argument('root', type=Path, help='folder that holds image/ and mask/')
    parser.add_argument('--out', type=Path, required=True, help='folder to write the JSON to')
    split = parser.add_mutually_exclusive_group()
    split.add_argument(
        '--split', type=Path, action='append', default=[], metavar='FILE',
        help='text file of slices, one <patient>_<n>.jpg or <patient>/<n>.jpg per line; makes a '
        'JSON of the same name; repeat for each split')
    split.add_argument(
        '--val-fraction', type=float, metavar='F',
        help='draw this share of the patients for lesions_val.json, the others go to '
        'lesions_train.json; with neither option all slices go to lesions_all.json')
    parser.add_argument('--seed', type=int, default=0, help='seed of that draw (default: 0)')
    parser.add_argument(
        '--min-area', type=int, default=100, metavar='PIXELS',
        help='keep connected components of more pixels than this (default: 100)')
    parser.add_argument(
        '--merge-lesions', action='store_true',
        help='make one class "lesion" of GGO and consolidation')
    parser.add_argument(
        '--allow-patient-overlap', action='store_true',
        help='only warn when split files share a patient')
    return parser.parse_args()


def choose_splits(args: argparse.Namespace, slices: list) -> dict:
    """Slices per JSON name, as the options say."""
    if args.val_fraction is not None:
        return conversion.random_split(slices, args.val_fraction, args.seed)
    if not args.split:
        return {'lesions_all': slices}
    names = [file.stem for file in args.split]
    if len(set(names)) < len(names):
        raise ValueError(f'split files of one name would overwrite each other: {names}.')
    splits = {file.stem: conversion.read_split(file, slices) for file in args.split}
    conversion.check_patients_apart(splits, only_warn=args.allow_patient_overlap)
    return splits


def main() -> None:
    args = parse_args()
    try:
        slices = conversion.list_lesion_slices(args.root)
        splits = choose_splits(args, slices)
        totals = conversion.write_lesion_annotations(
            args.out, splits, min_area=args.min_area, merge_lesions=args.merge_lesions)
    except (OSError, ValueError) as error:
        raise SystemExit(f'error: {error}') from error
    print(conversion.format_totals(totals))
    unused = len({*slices}.difference(*splits.values()))
    print(f'{unused} of {len(slices)} slices are in no split; written to {args.out}')


if __name__ == '__main__':
    main()
