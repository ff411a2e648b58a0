"""How far what a report says of decisions can be relied on, on simulated patients.

A validation set with as many patients of each class, and a test set of the same
patients at another prevalence: of 90 % normal, 7 % CP and 3 % COVID-19. The logits
of a slice have an effect of the patient and noise, as variable as each other, so
that the scores of a patient, the mean over slices, are no probabilities until they
are sharpened. For each figure: its true value, the mean and root mean square error
of the estimates, in how many sets they have a 95 % interval, how many of these hold
the truth, and their mean width.
"""

import argparse
import sys

import numpy as np

from mmcovid.analysis.evaluation.decisions import (
    estimate_prevalence,
    measure_benefit,
    measure_sets,
    predictive_values,
)
from mmcovid.classes import Classes
from mmcovid.results import Estimate
from mmcovid.statistics.bootstrap import Resamples
from mmcovid.statistics.calibration import (
    fit_temperature,
    image_scores,
    log_scores,
    sharpen,
)
from mmcovid.statistics.classification import Cases, confusion_counts, count_figures
from mmcovid.statistics.net_benefit import action_rates, benefit_weights
from mmcovid.statistics.prevalence import at_prevalence

CLASSES = Classes.of()
PREVALENCE = np.array([0.9, 0.07, 0.03])
ILL = np.array([False, True, True])
AT = 49  # a threshold of 0.5, as scores that were not corrected are high


def draw(truth: np.ndarray, slices: int, skill: float, rng: np.random.Generator) -> Cases:
    """Patients of these classes, (n,), with the mean scores of their slices."""
    n = np.arange(len(truth))
    logits = skill * (np.eye(3)[truth] - 0.5) + rng.normal(size=(len(truth), 3))
    logits = logits[:, None] + rng.normal(size=(len(truth), slices, 3))
    scores = image_scores(logits.reshape(-1, 3)).reshape(logits.shape).mean(1)
    return Cases(n, truth, scores.argmax(1), scores, n)


def true_figures(slices: int, skill: float, rng: np.random.Generator) -> dict[str, float]:
    """Of a large population."""
    everyone = draw(np.arange(90_000) % 3, slices, skill, rng)
    weights = np.ones((1, len(everyone)))
    values = count_figures(at_prevalence(confusion_counts(everyone, weights), PREVALENCE))
    benefit = benefit_weights(ILL, PREVALENCE)[AT] * action_rates(everyone, ILL, weights)[0, AT]
    return {
        'COVID-19, PPV at the prevalence': float(values['ppv'][0, 2]),
        'any disease, net benefit at 0.5': float(benefit.sum()),
    }


def estimate(
    test: Cases, known: Cases, coverage: float, resamples: Resamples
) -> dict[str, tuple[float | None, Estimate]]:
    """Estimates, with the truth of those that follow from the test set itself."""
    fit = fit_temperature(log_scores(known.scores), known.truth, sharpen)
    sharp = [
        each.with_scores(sharpen(log_scores(each.scores), fit.temperature))
        for each in (test, known)
    ]
    normal, *_ = estimate_prevalence(*sharp, resamples, seed=0)
    values = predictive_values(test, PREVALENCE, CLASSES, resamples)
    benefit = measure_benefit(test, ILL, PREVALENCE, resamples)
    sets = measure_sets(test, known, coverage, resamples)
    share = float(PREVALENCE[0])
    return {
        'normal, share that is predicted': (share, normal.predicted),
        'normal, share by counts': (share, normal.by_counts),
        'normal, share by EM': (share, normal.by_em),
        'COVID-19, PPV at the prevalence': (None, values['covid19_ppv']),
        'any disease, net benefit at 0.5': (None, benefit[AT].net_benefit),
        'normal, coverage of its sets': (coverage, sets.classes[0].coverage),
        'COVID-19, coverage of its sets': (coverage, sets.classes[2].coverage),
    }


def simulate(args: argparse.Namespace) -> dict[str, np.ndarray]:
    """Truth, value and bounds of each figure, (sets, 4)."""
    rng = np.random.default_rng(0)
    truth = true_figures(args.slices, args.skill, rng)
    found: dict[str, list] = {}
    for seed in range(args.sets):
        known = draw(np.arange(args.validation) % 3, args.slices, args.skill, rng)
        test = draw(rng.choice(3, args.patients, p=PREVALENCE), args.slices, args.skill, rng)
        resamples = Resamples(args.patients, args.rounds, seed)
        for key, (own, value) in estimate(test, known, args.coverage, resamples).items():
            own = truth[key] if own is None else own
            found.setdefault(key, []).append((own, value.value, value.low, value.high))
    return {key: np.array(rows) for key, rows in found.items()}


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default, what in (
        ('validation', 150, 'validation patients'),
        ('patients', 300, 'test patients'),
        ('slices', 4, 'slices of a patient'),
        ('sets', 200, 'simulated sets'),
        ('rounds', 400, 'resamples'),
    ):
        parser.add_argument(f'--{name}', type=int, default=default, help=f'{what} ({default})')
    parser.add_argument('--skill', type=float, default=2.5, help='of the model (2.5)')
    parser.add_argument('--coverage', type=float, default=0.9, help='of prediction sets (0.9)')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    print('| figure | truth | mean | RMSE | with interval | hold the truth | mean width |')
    print('|---|---:|---:|---:|---:|---:|---:|')
    for key, rows in simulate(parse_args(argv)).items():
        rows = rows[~np.isnan(rows[:, 1])]
        truth, value, low, high = rows.T
        error = np.sqrt(np.mean((value - truth) ** 2))
        given = ~np.isnan(low)
        holds = ((low <= truth) & (truth <= high))[given]
        print(
            f'| {key} | {truth[0]:.3f} | {value.mean():.3f} | {error:.3f} '
            f'| {given.mean():.1%} | {holds.mean():.1%} | {np.mean((high - low)[given]):.3f} |'
        )


if __name__ == '__main__':
    main(sys.argv[1:])
