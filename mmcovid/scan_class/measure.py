"""How well rules read the class of scans, and whether the weights of the learned one can be
believed."""

from collections.abc import Callable, Sequence

import numpy as np

from mmcovid.results import Estimate
from mmcovid.statistics.bootstrap import Resamples, weighted_means
from mmcovid.statistics.classification import Cases, confusion_counts, count_figures, rank_figures

from .learned import LEARNED, LearnedRule, Slices
from .load import LabelledScan
from .rules import RULES

#: Share of the slices that the deletion test leaves out, and random draws of each scan.
DELETED, DRAWS = 0.1, 20


def figures_by_rule(
    scans: Sequence[LabelledScan],
    rule: LearnedRule,
    normal: int | None,
    rounds: int = 1000,
    seed: int = 0,
) -> dict[str, dict[str, Estimate]]:
    """Figures of the learned rule and of those that need no fitting.

    Args:
        scans (Sequence[LabelledScan]): That the rule was not fitted to.
        rule (LearnedRule): The rule.
        normal (int, optional): Label of the class without disease.
        rounds (int): Resamples of patients. Defaults to 1000.
        seed (int): Of the resamples. Defaults to 0.

    Returns:
        dict[str, dict[str, Estimate]]: By rule: the sensitivity for each class, by its name, their
        mean, ``mean``, and, if there is a normal class, ``auroc`` of the others against it.
    """
    truth = np.array([scan.label for scan in scans])
    patients, cluster = np.unique([scan.patient for scan in scans], return_inverse=True)
    resamples = Resamples(len(patients), rounds, seed)
    rules: dict[str, Callable[[Slices], np.ndarray]] = {
        name: lambda slices, simple=simple: simple(slices.scores, normal)  # type: ignore[misc]
        for name, simple in RULES.items()
    }
    rules[LEARNED] = lambda slices: rule(slices)[0]
    found = {}
    for name, read in rules.items():
        scores = np.stack([read(scan.slices) for scan in scans])
        cases = Cases(np.arange(len(scans)), truth, scores.argmax(1), scores, cluster)
        found[name] = rule_figures(cases, rule.classes, normal, resamples)
    return found


def rule_figures(
    cases: Cases, classes: Sequence[str], normal: int | None, resamples: Resamples
) -> dict[str, Estimate]:
    """Figures of one rule; see :func:`figures_by_rule`."""
    sensitivity = count_figures(confusion_counts(cases, resamples.weights))['sensitivity']
    patients = [len(np.unique(cases.cluster[cases.truth == k])) for k in range(len(classes))]
    figures = {
        name: resamples.estimate(sensitivity[:, k], patients=patients[k])
        for k, name in enumerate(classes)
    }
    figures['mean'] = resamples.estimate(sensitivity.mean(1), patients=min(patients))
    if normal is not None:
        auroc, _ = rank_figures(
            cases.truth != normal, 1 - cases.scores[:, normal], cases.cluster, resamples.weights
        )
        fewest = min(patients[normal], sum(patients) - patients[normal])
        figures['auroc'] = resamples.estimate(auroc, patients=fewest)
    return figures


def deletion_figures(
    scans: Sequence[LabelledScan], rule: LearnedRule, rounds: int = 1000, seed: int = 0
) -> dict[str, Estimate]:
    """What leaving out a tenth of the slices takes from the score of the predicted class.

    If the weights tell what the class was read from, the slices of most weight take more than
    random ones.

    Returns:
        dict[str, Estimate]: ``heaviest``, ``random``, and ``difference``, each a mean over scans.
    """
    rng = np.random.default_rng(seed)
    drops = np.array([deletion_drops(rule, scan.slices, rng) for scan in scans])
    drops = np.column_stack([drops, drops[:, 0] - drops[:, 1]])
    patients, cluster = np.unique([scan.patient for scan in scans], return_inverse=True)
    resamples = Resamples(len(patients), rounds, seed)
    means = weighted_means(drops, cluster, resamples.weights)
    return {
        name: resamples.estimate(means[:, k], scale='linear')
        for k, name in enumerate(('heaviest', 'random', 'difference'))
    }


def deletion_drops(
    rule: LearnedRule, slices: Slices, rng: np.random.Generator
) -> tuple[float, float]:
    """What the predicted class loses without the heaviest slices, and without random ones.

    Args:
        rule (LearnedRule): The rule.
        slices (Slices): Of a scan; one slice is left at least.
        rng (np.random.Generator): Source of the draws.

    Returns:
        tuple[float, float]: Score before minus score after; of random ones the mean.
    """
    scores, attention = rule(slices)
    label, number = scores.argmax(), len(slices)
    gone = min(int(np.ceil(DELETED * number)), number - 1)

    def drop(places: np.ndarray) -> float:
        left = slices.take(np.delete(np.arange(number), places))
        return float(scores[label] - rule(left)[0][label])

    heaviest = np.argsort(-attention, kind='stable')[:gone]
    random = [drop(rng.choice(number, gone, replace=False)) for _ in range(DRAWS)]
    return drop(heaviest), float(np.mean(random))
