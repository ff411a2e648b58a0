"""Report on attention weights: what carries them, and whether they can be believed."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope

from mmcovid.analysis.attention import AttentionSettings
from mmcovid.analysis.attention.write import write_attention_report
from mmcovid.cli.arguments import add_budget_arguments, command, make_parser
from mmcovid.utils.configs import find_config


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    default = AttentionSettings()
    parser = make_parser(
        'attention',
        'Predict the test set of a config and report which lesion classes, regions '
        'and places of the RoI sequence carry the attention weights, and what dropping RoIs does '
        'to the class, with 95 % intervals (bootstrap over patients).',
        'one-shot_r18_fpn_lstm2_phantom work_dirs/demo/iter_600.pth --out work_dirs/attention',
    )
    parser.add_argument('config', help='config of an Attention, LSTM-1 or LSTM-2 model')
    parser.add_argument('checkpoint', help='its weights')
    parser.add_argument('--out', type=Path, required=True, metavar='DIR', help='folder to write')
    parser.add_argument(
        '--drop',
        type=int,
        nargs='+',
        default=default.counts,
        metavar='K',
        help='numbers of RoIs to drop (default: 1 2 4 8)',
    )
    parser.add_argument(
        '--draws',
        type=int,
        default=default.draws,
        help='random drops of each number (default: %(default)s)',
    )
    parser.add_argument(
        '--rounds',
        type=int,
        default=default.rounds,
        help='resamples of patients (default: %(default)s)',
    )
    parser.add_argument(
        '--seed',
        type=int,
        default=default.seed,
        help='seed of all that is drawn (default: %(default)s)',
    )
    parser.add_argument(
        '--score-thr',
        type=float,
        default=default.score_thr,
        help='least score of lungs and lesions that make the lung field (default: %(default)s)',
    )
    parser.add_argument(
        '--max-slices',
        type=int,
        metavar='N',
        help='look at N slices drawn at random (default: all)',
    )
    parser.add_argument(
        '--gallery',
        type=int,
        default=default.gallery,
        metavar='N',
        help='pictures of N slices drawn at random (default: %(default)s)',
    )
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='change entries of the config',
    )
    add_budget_arguments(parser)
    args = parser.parse_args(argv)
    least = [*args.drop, args.draws, args.rounds, args.gallery + 1]
    if min(least + [args.max_slices] * (args.max_slices is not None)) < 1:
        parser.error(
            '--drop, --draws, --rounds and --max-slices must be at least 1, --gallery at least 0'
        )
    return args


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    settings = AttentionSettings(
        counts=tuple(sorted(set(args.drop))),
        draws=args.draws,
        rounds=args.rounds,
        seed=args.seed,
        score_thr=args.score_thr,
        max_slices=args.max_slices,
        gallery=args.gallery,
    )
    cfg = Config.fromfile(find_config(args.config))
    cfg.merge_from_dict(args.cfg_options or {})
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    report = write_attention_report(cfg, args.checkpoint, args.out, settings, args.device)
    for task, figures in report.sets.items():
        for effect in figures.deletion:
            if effect.measure == 'score_drop' and effect.dropped == settings.counts[0]:
                print(
                    f'{task}, {effect.dropped} dropped by {effect.ranking}, score falls by '
                    f'{effect.top.value:.4f}; more than for random RoIs by '
                    f'{effect.top_minus_random:.4f}'
                )
    for note in report.notes:
        print(f'note: {note}')
    print(f'written to {args.out / "attention_report.html"}')
