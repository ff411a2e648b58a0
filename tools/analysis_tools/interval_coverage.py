"""How many of a report's 95 % intervals hold the truth, on simulated test sets.

Beside the intervals of the report stand bias-corrected percentiles of the same
resamples (Efron 1981). Both models of a set have the accuracy that is asked for,
and so have sensitivity, PPV and F1 of each class, as no class is special; their
difference is 0. What the slices of a patient share is

- normal: for each class an effect on the logit, as variable as the slice's own
  noise on it, so that two slices' logits correlate by 0.5 in a patient;
- beta-binomial: the rate of errors, of a beta distribution, so that the errors of
  two slices correlate by 0.2 in a patient.
"""

import argparse
import re
import sys

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm

from mmcovid.statistics.bootstrap import Resamples
from mmcovid.statistics.calibration import image_scores
from mmcovid.statistics.class_scores import mean_over_classes
from mmcovid.statistics.classification import (
    Cases,
    confusion_counts,
    count_figures,
    patients_behind,
    rank_figures,
)

CLASSES = ('normal', 'cp', 'covid19')
FIGURES = (
    'accuracy',
    'covid19_sensitivity',
    'covid19_ppv',
    'macro_f1',
    'covid19_auroc',
    'accuracy: difference',
)
CORRELATION = 0.2


def draw_normal(
    patients: int, slices: int, accuracy: float, rng: np.random.Generator
) -> list[Cases]:
    """Two models whose logits have normal effects of patient and slice, half of them shared."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(99)

    def excess(skill: float) -> float:  # the true class beats two others, SD √2 each
        return weights @ norm.cdf(nodes + skill / np.sqrt(2)) ** 2 / weights.sum() - accuracy

    truth = np.repeat(np.arange(patients) % 3, slices)
    shared, *own = (
        np.repeat(rng.normal(size=(patients, 3)), slices, axis=0)
        + rng.normal(size=(patients * slices, 3))
        for _ in range(3)
    )
    skill = brentq(excess, 0, 20) * np.eye(3)[truth]
    return [_cases(truth, skill + (shared + noise) / np.sqrt(2), slices) for noise in own]


def draw_beta_binomial(
    patients: int, slices: int, accuracy: float, rng: np.random.Generator
) -> list[Cases]:
    """Two models that err at the same rate in a patient, each on its own."""
    spread = 1 / CORRELATION - 1
    rate = rng.beta((1 - accuracy) * spread, accuracy * spread, patients).repeat(slices)
    truth = np.repeat(np.arange(patients) % 3, slices)
    wrong = [(rng.random(len(truth)) < rate) * rng.integers(1, 3, len(truth)) for _ in range(2)]
    return [_cases(truth, 5 * np.eye(3)[(truth + shift) % 3], slices) for shift in wrong]


def _cases(truth: np.ndarray, logits: np.ndarray, slices: int) -> Cases:
    n = np.arange(len(truth))
    return Cases(n, truth, logits.argmax(1), image_scores(logits), n // slices)


MODELS = {'normal': draw_normal, 'beta-binomial': draw_beta_binomial}


def percentile_interval(values: np.ndarray) -> tuple[float, float]:
    """Bias-corrected percentile interval of a figure's resamples, (R,); ``values[0]`` is the set's.

    A figure whose resamples are all alike has none.
    """
    resampled = values[1:][~np.isnan(values[1:])]
    if len(resampled) < 0.9 * (len(values) - 1) or np.ptp(resampled) < 1e-9:
        return float('nan'), float('nan')
    below = np.mean(resampled < values[0]) + np.mean(resampled == values[0]) / 2
    bias = norm.ppf(np.clip(below, 0.5 / len(resampled), 1 - 0.5 / len(resampled)))
    return tuple(np.quantile(resampled, norm.cdf(2 * bias + norm.ppf((0.025, 0.975)))))


def compute_figures(models: list[Cases], weights: np.ndarray) -> dict[str, np.ndarray]:
    """:data:`FIGURES` of the first model, and the difference of the second, for each row."""
    one, other = (count_figures(confusion_counts(cases, weights)) for cases in models)
    first = models[0]
    auroc, _ = rank_figures(first.truth == 2, first.scores[:, 2], first.cluster, weights)
    values = (
        one['accuracy'],
        one['sensitivity'][:, 2],
        one['ppv'][:, 2],
        mean_over_classes(one['f1'], one['support']),
        auroc,
        other['accuracy'] - one['accuracy'],
    )
    return dict(zip(FIGURES, values))


def simulate(
    draw, patients: int, slices: int, accuracy: float, sets: int, rounds: int
) -> dict[str, np.ndarray]:
    """Intervals of simulated sets.

    Returns:
        dict[str, np.ndarray]: For each of :data:`FIGURES` the truth and the bounds before and
        after, (sets, 5).
    """
    rng = np.random.default_rng(5)
    population = compute_figures(draw(60_000, 1, accuracy, rng), np.ones((1, 60_000)))
    truth = dict.fromkeys(FIGURES, accuracy) | {
        'covid19_auroc': population['covid19_auroc'][0],
        'accuracy: difference': 0.0,
    }
    bounds = {key: np.empty((sets, 5)) for key in FIGURES}
    for i in range(sets):
        resamples = Resamples(patients, rounds, seed=i)
        models = draw(patients, slices, accuracy, rng)
        behind = patients_behind(models[0], CLASSES)
        for key, values in compute_figures(models, resamples.weights).items():
            scale = 'logit' if key in behind else 'linear'
            found = resamples.estimate(values, scale=scale, patients=behind.get(key))
            bounds[key][i] = (
                truth[key],
                *percentile_interval(values[: rounds + 1]),
                found.low,
                found.high,
            )
    return bounds


def summarise(bounds: np.ndarray) -> list[str]:
    """Cells of a row: share that holds the truth, too high or too low, and mean width, twice."""
    cells = []
    for low, high in (bounds[:, 1:3].T, bounds[:, 3:].T):
        given = ~np.isnan(low)
        above, below = np.mean(low > bounds[:, 0]), np.mean(high < bounds[:, 0])
        cells += [
            f'{given.mean() - above - below:.1%}',
            f'{1 - given.mean():.1%}',
            f'{above:.1%} / {below:.1%}',
            f'{np.mean((high - low)[given]):.3f}' if given.any() else '-',
        ]
    return cells


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'settings',
        nargs='*',
        metavar='PATIENTSxSLICES@ACCURACY',
        default=['60x30@0.98', '30x4@0.95', '20x8@0.9', '150x4@0.8', '300x30@0.95'],
        help='sizes of the test sets and accuracy of the models (default: %(default)s)',
    )
    parser.add_argument(
        '--model',
        nargs='+',
        choices=MODELS,
        default=list(MODELS),
        help='what the slices of a patient share (default: both)',
    )
    parser.add_argument('--sets', type=int, default=1000, help='test sets (default: 1000)')
    parser.add_argument('--rounds', type=int, default=1000, help='resamples (default: 1000)')
    args = parser.parse_args(argv)
    for text in args.settings:
        if not re.fullmatch(r'\d+x\d+@0?\.\d+', text):
            parser.error(f'{text}: write a setting as 60x30@0.98')
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    print(
        '| slices of a patient share | patients x slices @ accuracy | figure | before: hold the '
        'truth | no interval | above / below it | mean width | after: hold the truth '
        '| no interval | above / below it | mean width |\n'
        '|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|'
    )
    for name in args.model:
        for text in args.settings:
            patients, slices, accuracy = re.split('[x@]', text)
            found = simulate(
                MODELS[name], int(patients), int(slices), float(accuracy), args.sets, args.rounds
            )
            for key, bounds in found.items():
                if key != 'covid19_auroc' or name == 'normal':
                    print(
                        f'| {name} | {text} | {key} | {" | ".join(summarise(bounds))} |', flush=True
                    )


if __name__ == '__main__':
    main(sys.argv[1:])
