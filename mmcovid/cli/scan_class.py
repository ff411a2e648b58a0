"""Fit the rule that reads the class of a scan to scans whose class is known."""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mmcovid.classes import Classes
from mmcovid.cli.arguments import command, make_parser
from mmcovid.results import Estimate
from mmcovid.scan_class import FEATURES, LearnedRule
from mmcovid.scan_class.load import ScanSet, load_scans
from mmcovid.scan_class.measure import DELETED, deletion_figures, figures_by_rule
from mmcovid.utils.escape import printable


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = make_parser(
        'scan-class',
        'Fit the rule that reads the class of a scan from its slices: gated attention, to what '
        'a model said of the slices of scans whose class is known. It is fitted to the split '
        'train, chosen and calibrated by val, and compared with the other rules on test. '
        'mmcovid publish --scan-class stores it with the model.',
        'outputs/ --scans scans.csv --out scan_class.json\n'
        '  mmcovid publish model.safetensors published/ --scan-class scan_class.json',
    )
    parser.add_argument(
        'results',
        nargs='+',
        type=Path,
        metavar='RESULTS',
        help='folder that mmcovid infer wrote to, with --keep-vectors but for --features scores',
    )
    parser.add_argument(
        '--scans',
        type=Path,
        required=True,
        metavar='CSV',
        help='table with the columns scan (name of its folder), patient, class and split (train, '
        'val or test)',
    )
    parser.add_argument('--out', type=Path, required=True, metavar='JSON', help='file to write')
    parser.add_argument(
        '--features',
        nargs='+',
        choices=FEATURES,
        default=FEATURES,
        help='what the rule may see of a slice, beside its height in the lung: image vectors, '
        'class scores; of both, what does better on the validation scans (default: both)',
    )
    parser.add_argument(
        '--rounds', type=int, default=1000, metavar='N', help='resamples (default: %(default)s)'
    )
    parser.add_argument(
        '--seed', type=int, default=0, help='of the fit and the resamples (default: %(default)s)'
    )
    parser.add_argument('--overwrite', action='store_true', help='replace the file if it is there')
    args = parser.parse_args(argv)
    if args.rounds < 1:
        parser.error('--rounds must be at least 1')
    if args.out.exists() and not args.overwrite:
        parser.error(f'{args.out} is there already: name another file, or --overwrite it')
    return args


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    try:
        from mmcovid.scan_class.fit import fit_rule
    except ModuleNotFoundError as error:
        raise ImportError(
            f'{error.name} is not installed, by which the rule is fitted; to mend it, run: '
            'pip install torch'
        ) from error
    scans = load_scans(args.scans, args.results, vectors='vectors' in args.features)
    rule = fit_rule(scans, args.features, args.seed)
    split = 'test' if scans.of('test') else 'val'
    rule = _try_out(rule, scans, split, args.rounds, args.seed)
    rule.save(args.out)
    for note in scans.notes:
        print(printable(f'note: {note}'))
    print('\n'.join(_tell(rule, split)))
    print(f'written to {args.out}')


def _try_out(rule: LearnedRule, scans: ScanSet, split: str, rounds: int, seed: int) -> LearnedRule:
    """The rule with figures on the scans of a split."""
    normal = Classes.of(images=rule.classes).normal_label
    figures = figures_by_rule(scans.of(split), rule, normal, rounds, seed)
    deletion = deletion_figures(scans.of(split), rule, rounds, seed)
    return replace(
        rule, fitted=dict(rule.fitted, tried_on=split, figures=figures, deletion=deletion)
    )


def _tell(rule: LearnedRule, split: str) -> Iterator[str]:
    """What was fitted, and the figures as a table in Markdown."""
    fitted = rule.fitted
    number, patients = fitted['scans'], fitted['patients']
    listed = ', '.join(
        f'{name} {number[name]} of {patients[name]} patients' for name in number if number[name]
    )
    yield f'scans: {listed}'
    losses = ', '.join(f'{loss:.3f} with {name}' for name, loss in fitted['losses'].items())
    yield f'loss on the validation scans: {losses}; the rule sees {rule.features}'
    if fitted['temperature_note']:
        yield f'note: {fitted["temperature_note"]}'
    if split == 'val':
        yield 'note: without a split test, figures are of scans that the rule was chosen by'
    figures: Mapping[str, Mapping[str, Estimate]] = fitted['figures']
    header = ['rule', *next(iter(figures.values()))]
    yield ''
    yield f'| {" | ".join(header)} |'
    yield f'| --- {"| ---: " * (len(header) - 1)}|'
    for name, row in figures.items():
        cells = [f'{each:.2f}' for each in row.values()]
        yield f'| `{name}` | {" | ".join(cells)} |'
    yield ''
    heaviest, random, difference = fitted['deletion'].values()
    yield (
        f'Leaving out the {DELETED:.0%} of the slices of most weight takes {heaviest:.2f} from the '
        f'score of the predicted class, as many random ones {random:.2f}; difference '
        f'{difference:.2f}.'
    )
