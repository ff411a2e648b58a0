"""Report on dumped predictions, for reviewers: figures with intervals, curves, calibration."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmcovid.analysis.evaluation import Settings, load_models, load_validation, write_report
from mmcovid.cli.arguments import add_budget_arguments, command, make_parser
from mmcovid.scan_class import RULES
from mmcovid.statistics.clusters import UNITS


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = make_parser(
        'report',
        'Compute figures with 95 % intervals (bootstrap over patients), curves, '
        'calibration and the worst errors from predictions of mmcovid test --out, and write '
        'report.html, report.json and CSV tables. Predictions of several models must be of the '
        'same test set; the others are compared with the first.',
        'lstm2=predictions.pkl attention=other.pkl --out work_dirs/report',
    )
    parser.add_argument(
        'predictions',
        nargs='+',
        metavar='[NAME=]FILE',
        help='dumped predictions, or a CSV table of the scores of any other model (columns img_id, '
        'class, one for each class with its score, and patient_id and scan_id if they are known); '
        'files of one NAME are training runs (seeds) of one model',
    )
    parser.add_argument('--out', type=Path, required=True, metavar='DIR', help='folder to write')
    parser.add_argument('--rounds', type=int, default=2000, help='resamples (default: 2000)')
    parser.add_argument('--seed', type=int, default=0, help='seed of the resamples (default: 0)')
    parser.add_argument(
        '--unit',
        choices=UNITS,
        default='patient',
        help='what slices are grouped into (default: patient); patients are resampled either way',
    )
    parser.add_argument(
        '--aggregate',
        choices=tuple(RULES),
        default='mean',
        help='rule that reads the class of a unit from the scores of its slices, see '
        'docs/en/scan_class.md (default: %(default)s)',
    )
    parser.add_argument(
        '--calibrate-on',
        nargs='+',
        default=[],
        metavar='VAL',
        help='predictions on a validation set, one file for each of PREDICTIONS in the same '
        'order, to fit temperatures and choose thresholds on; they are written to '
        'temperature.json and decision_rules.json',
    )
    parser.add_argument(
        '--prevalence',
        metavar='CLASS=SHARE,...',
        help='shares of the classes where the model is to be used, such as '
        'normal=0.9,cp=0.07,covid19=0.03, for predictive values and decision curves; counts or em '
        'takes those that are estimated from the predictions, by --calibrate-on',
    )
    parser.add_argument(
        '--set-coverage',
        type=float,
        default=0.9,
        metavar='SHARE',
        help='share of the cases of each class that prediction sets, chosen on --calibrate-on, are '
        'to hold (default: %(default)s)',
    )
    parser.add_argument(
        '--abstain-below',
        type=float,
        metavar='SCORE',
        help='also report coverage and accuracy if cases of a lower confidence are undecided',
    )
    parser.add_argument(
        '--metadata', metavar='CSV', help='table with a column img_id, scan_id or patient_id'
    )
    parser.add_argument(
        '--subgroup',
        nargs='+',
        default=[],
        metavar='COLUMN',
        help='report on the groups of these columns of the metadata',
    )
    parser.add_argument(
        '--score-thr',
        type=float,
        default=0.3,
        help='least score of lesions that count for Dice (default: 0.3)',
    )
    parser.add_argument(
        '--gallery',
        type=int,
        default=12,
        metavar='N',
        help='pictures of the N worst errors of each model (default: 12)',
    )
    parser.add_argument(
        '--image-root',
        default='',
        metavar='DIR',
        help='folder that the image paths of the predictions are below',
    )
    add_budget_arguments(parser)
    args = parser.parse_args(argv)
    if bool(args.metadata) != bool(args.subgroup):
        parser.error('--metadata and --subgroup need each other')
    if args.rounds < 1 or args.gallery < 0:
        parser.error('--rounds must be at least 1, --gallery at least 0')
    if not 0 < args.set_coverage < 1:
        parser.error('--set-coverage must be between 0 and 1')
    return args


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    settings = Settings(
        unit=args.unit,
        aggregate=args.aggregate,
        rounds=args.rounds,
        seed=args.seed,
        score_thr=args.score_thr,
        abstain_below=args.abstain_below,
        prevalence=args.prevalence,
        set_coverage=args.set_coverage,
        metadata=args.metadata,
        subgroups=args.subgroup,
        gallery=args.gallery,
        image_root=args.image_root,
    )
    models = load_models(args.predictions)
    validation = load_validation(models, args.calibrate_on) if args.calibrate_on else None
    report = write_report(models, args.out, settings, validation).report
    for level, by_model in report.figures.items():
        for name, figures in by_model.items():
            for key in ('mAP', 'per_image_mAP') if level == 'lesion' else ('accuracy',):
                print(f'{name}, {key} by {level}: {figures[key]:.4f}')
    for note in report.notes:
        print(f'note: {note}')
    print(f'written to {args.out / "report.html"}')
