"""How well rules read the class of a scan, by the share of its slices that are diseased.

Without RESULTS, of simulated scans: one run of neighbouring slices shows the disease of the scan.
Logits of slices are those of their class, with noise that goes on from slice to slice (correlation
0.7) and an effect of the scan. With RESULTS, the folder that mmcovid infer wrote to, of scans of
the phantom, whose masks tell which slices are diseased. Intervals are of resampled scans, which
are one of each patient.

Beside the rules that need no fitting stand learned ones: those of --rule, and with --fit one that
is fitted to other simulated scans here.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from mmcovid.classes import DEFAULT, LESION_CLASSES
from mmcovid.ct import read_volume
from mmcovid.data_tools.slice_lists import read_slices as read_slices_list
from mmcovid.scan_class import LEARNED, RULES, LearnedRule, Slices, relative_heights
from mmcovid.scan_class.load import LabelledScan, ScanSet, read_results, read_slices
from mmcovid.scan_class.measure import rule_figures
from mmcovid.statistics.bootstrap import Resamples
from mmcovid.statistics.calibration import image_scores
from mmcovid.statistics.classification import Cases

CLASSES, NORMAL = DEFAULT.image_names, DEFAULT.normal_label
#: Share of diseased slices that scans are simulated with, and the bounds of the table's columns.
SHARES = (0.05, 0.1, 0.2, 0.3, 0.45, 0.6)
BOUNDS = (0.075, 0.15, 0.25, 0.375, 0.525)
#: Distance of the logits' means from 0, and the effect of the scan on them, by quality of the
#: slice scores; the noise of a slice is 1.2.
QUALITY = dict(sharp=(3, 0.3), good=(2, 0.5), fair=(1.2, 0.5))
NOISE, CORRELATION = 1.2, 0.7


@dataclass(frozen=True)
class KnownScan:
    """A scan and what a model says of its slices."""

    label: int
    share: float  #: of the slices that are diseased
    slices: Slices  #: in the order of the scan


def parse_args(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('results', nargs='?', type=Path, metavar='RESULTS')
    parser.add_argument('--scans', type=Path, help='scans/ of the phantom, of RESULTS')
    parser.add_argument(
        '--rule', nargs='+', type=Path, default=[], metavar='JSON', help='of mmcovid scan-class'
    )
    parser.add_argument(
        '--fit',
        type=int,
        metavar='N',
        help='fit a rule to N simulated scans, and choose it by half as many',
    )
    parser.add_argument('--quality', choices=QUALITY, default='good', help='of simulated scores')
    parser.add_argument('--number', type=int, default=600, help='of simulated scans')
    parser.add_argument('--rounds', type=int, default=1000, help='resamples')
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args(argv)
    if args.results and not args.scans:
        parser.error('RESULTS need --scans')
    if args.results and args.fit:
        parser.error('--fit is of simulated scans; for RESULTS give --rule')
    return args


def simulate(number: int, quality: str, rng: np.random.Generator) -> list[KnownScan]:
    """Scans of 30 to 200 slices, a third of each class."""
    return [
        _simulate_scan(k % 3, SHARES[k // 3 % len(SHARES)], *QUALITY[quality], rng)
        for k in range(number)
    ]


def _simulate_scan(
    label: int, share: float, mean: float, effect: float, rng: np.random.Generator
) -> KnownScan:
    number = int(rng.integers(30, 201))
    diseased = max(1, round(share * number)) if label != NORMAL else 0
    truth = np.full(number, NORMAL)
    start = rng.integers(number - diseased + 1)
    truth[start : start + diseased] = label
    noise = rng.standard_normal((number, 3))
    for i in range(1, number):
        noise[i] = CORRELATION * noise[i - 1] + np.sqrt(1 - CORRELATION**2) * noise[i]
    logits = np.where(np.eye(3, dtype=bool)[truth], mean, -mean) + NOISE * noise
    logits += effect * rng.standard_normal(3)
    slices = Slices(relative_heights(np.arange(number)), image_scores(logits))
    return KnownScan(label, diseased / number, slices)


def fit(number: int, quality: str, rng: np.random.Generator) -> LearnedRule:
    """The learned rule, fitted to simulated scans and chosen by half as many."""
    from mmcovid.scan_class.fit import fit_rule  # here: it needs PyTorch

    scans = [
        LabelledScan(f'{split}{i}', f'{split}{i}', scan.label, split, scan.slices)
        for split, size in (('train', number), ('val', number // 2))
        for i, scan in enumerate(simulate(size, quality, rng))
    ]
    return fit_rule(ScanSet(scans, CLASSES, {}, 'lung', 1.0, []), ['scores'])


def read_scans(results: Path, scans: Path, vectors: bool) -> list[KnownScan]:
    """Scans of the phantom with what their class is read from."""
    found = []
    for entry in read_slices_list(str(scans / 'scans.txt'), CLASSES):
        folder = results / entry.name.removesuffix('.nii.gz')
        told = read_results(folder)
        chosen = [row['index'] for row in told['slices'] if row['in_region']]
        mask = read_volume(scans / 'masks' / entry.name).array
        diseased = (mask > 1 + LESION_CLASSES.index('lung')).any((1, 2))
        slices = read_slices(folder, told, CLASSES, vectors)
        found.append(KnownScan(entry.label, float(diseased[chosen].mean()), slices))
    return found


def measure(
    scans: list[KnownScan], read: Callable[[Slices], np.ndarray], resamples: Resamples
) -> list[str]:
    """The line of a rule, which gives class scores (K,): figures with intervals."""
    scores = np.array([read(scan.slices) for scan in scans])
    truth = np.array([scan.label for scan in scans])
    number = np.arange(len(scans))
    cases = Cases(number, truth, scores.argmax(1), scores, number)
    figures = rule_figures(cases, CLASSES, NORMAL, resamples)
    columns = [figures[CLASSES[NORMAL]]]
    column = np.digitize([scan.share for scan in scans], BOUNDS)
    for k in range(len(BOUNDS) + 1):
        own = (truth != NORMAL) & (column == k)
        weights = resamples.weights[:, own].astype(float)
        right = (cases.pred == truth)[own]
        with np.errstate(invalid='ignore'):
            share = weights @ right / weights.sum(1)
        columns.append(resamples.estimate(share, patients=int(own.sum())))
    columns += [figures['mean'], figures['auroc']]
    return [f'{each.value:.2f} ({each.low:.2f}–{each.high:.2f})' for each in columns]


def main(argv=None):
    args = parse_args(argv)
    rules = {path.stem: LearnedRule.load(path) for path in args.rule}
    if args.results:
        vectors = any(rule.features == 'vectors' for rule in rules.values())
        scans = read_scans(args.results, args.scans, vectors)
    else:
        scans = simulate(args.number, args.quality, np.random.default_rng(args.seed))
    if args.fit:
        rules[LEARNED] = fit(args.fit, args.quality, np.random.default_rng((args.seed, 1)))
    accuracy = [
        np.mean(scan.slices.scores.argmax(1) == NORMAL) for scan in scans if scan.label == NORMAL
    ]
    print(f'{len(scans)} scans; of the slices of normal scans {np.mean(accuracy):.1%} are normal\n')
    resamples = Resamples(len(scans), args.rounds, args.seed)
    bounds = (0, *BOUNDS, 1)
    shares = [f'{low:.0%} to {high:.0%}' for low, high in zip(bounds, bounds[1:])]
    header = ['rule', 'specificity', *shares, 'macro sensitivity', 'AUROC of disease']
    for line in (header, ['---', *['---:'] * (len(header) - 1)]):
        print(f'| {" | ".join(line)} |')
    readers = {name: partial(_read_simply, name) for name in RULES}
    readers |= {name: lambda slices, rule=rule: rule(slices)[0] for name, rule in rules.items()}
    for name, read in readers.items():
        print(f'| `{name}` | {" | ".join(measure(scans, read, resamples))} |')


def _read_simply(name: str, slices: Slices) -> np.ndarray:
    """Class scores (K,) by a rule that needs no fitting."""
    return RULES[name](slices.scores, NORMAL)


if __name__ == '__main__':
    main()
