"""Compare segmented scans with true label maps: lesions, surfaces, volumes."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmcovid.analysis.lesions import (
    Settings,
    compare,
    find_truth,
    load_models,
    with_scores,
    write_report,
)
from mmcovid.analysis.lesions.measure import LESIONS
from mmcovid.analysis.lesions.page import LABELS, spell
from mmcovid.classes import LESION_CLASSES, Classes
from mmcovid.cli.arguments import add_budget_arguments, command, make_parser
from mmcovid.data_tools.label_maps import read_patients


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = make_parser(
        'lesions',
        'Compare the label maps of scans with the truth: sensitivity for 3-D lesions at false '
        'positives per scan (FROC), panoptic quality, Dice, surface distances and agreement of '
        'volumes, with 95 % intervals (bootstrap over patients), as report.html, report.md, '
        'report.json and CSV tables. Models are what mmcovid infer wrote, or label maps of any '
        'other model; they are compared with the first.',
        'outputs/scans unet=predictions/ --truth labels/ --out reports/lesions',
    )
    parser.add_argument(
        'models',
        nargs='+',
        metavar='[NAME=]DIR',
        help='folder of mmcovid infer, or of label maps that are named as their scans',
    )
    parser.add_argument(
        '--truth',
        type=Path,
        required=True,
        metavar='DIR',
        help='folder of the true label maps, named as the scans, on their grids',
    )
    parser.add_argument('--out', type=Path, required=True, metavar='DIR', help='folder to write')
    parser.add_argument(
        '--scores',
        action='append',
        default=[],
        metavar='NAME=CSV',
        help='scores of the lesions of a model whose label maps tell none: columns scan, x, y, z '
        '(a voxel of the lesion along the axes of the file, from 0) and score; repeat for each '
        'model',
    )
    parser.add_argument(
        '--classes',
        nargs='+',
        default=list(LESION_CLASSES),
        metavar='NAME',
        help='classes of the labels 1, 2 ... of all label maps; "lung" is no lesion '
        f'(default: {" ".join(LESION_CLASSES)})',
    )
    parser.add_argument(
        '--iou',
        type=float,
        default=Settings.iou,
        help='least intersection over union of a found lesion with the true one that it hits '
        '(default: %(default)s)',
    )
    parser.add_argument(
        '--tolerance-mm',
        type=float,
        default=Settings.tolerance_mm,
        metavar='MM',
        help='tolerance of the surface Dice (default: %(default)s)',
    )
    parser.add_argument(
        '--least-lesion-ml',
        type=float,
        default=Settings.least_lesion_ml,
        metavar='ML',
        help='volume of the smallest 3-D lesion that counts, in ml, of truth and models; smaller '
        'ones are told (default: %(default)s, as of mmcovid infer)',
    )
    parser.add_argument(
        '--patients',
        type=Path,
        metavar='CSV',
        help='table with columns scan and patient (default: each scan is of a patient of its own)',
    )
    parser.add_argument('--rounds', type=int, default=2000, help='resamples (default: 2000)')
    parser.add_argument('--seed', type=int, default=0, help='seed of the resamples (default: 0)')
    add_budget_arguments(parser)
    args = parser.parse_args(argv)
    if not 0 < args.iou <= 1:
        parser.error('--iou must be above 0 and at most 1')
    if not (args.tolerance_mm >= 0 and args.least_lesion_ml >= 0 and args.rounds >= 1):
        parser.error('--tolerance-mm and --least-lesion-ml must be at least 0, --rounds 1')
    return args


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    settings = Settings(args.iou, args.tolerance_mm, args.least_lesion_ml, args.rounds, args.seed)
    classes = Classes.of(tuple(args.classes))
    truth = find_truth(args.truth)
    models, notes = load_models(args.models, truth, classes)
    models = with_scores(models, args.scores)
    patients = read_patients(args.patients, list(truth.files)) if args.patients else None
    report = compare(models, truth, classes, settings, patients)
    report.notes += notes
    write_report(report, classes, args.out)
    for name, model in report.models.items():
        for key in ('sensitivity', 'fp_per_scan', 'dice', 'ccc'):
            print(f'{name}, {LABELS[key]}: {spell(model.figures[LESIONS][key])}')
    for note in report.notes:
        print(f'note: {note}')
    print(f'written to {args.out / "report.html"}')
