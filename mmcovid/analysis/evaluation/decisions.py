"""What decisions by the scores lead to: at another prevalence, as sets of classes, undecided."""

from dataclasses import replace

import numpy as np

from mmcovid.classes import DISEASE, Classes
from mmcovid.results import Estimate, EvaluationReport
from mmcovid.results.evaluation import (
    ClassPrevalence,
    ClassSets,
    Figures,
    NetBenefit,
    PredictionSets,
    PredictiveValues,
    SelectiveRisk,
)
from mmcovid.statistics.bootstrap import (
    Resamples,
    add_estimates,
    effective_clusters,
    resample_clusters,
    weighted_means,
)
from mmcovid.statistics.calibration import fit_temperature, log_scores, sharpen
from mmcovid.statistics.classification import Cases, confusion_counts, count_figures
from mmcovid.statistics.conformal import prediction_sets, set_thresholds
from mmcovid.statistics.net_benefit import THRESHOLDS, action_rates, benefit_weights
from mmcovid.statistics.prevalence import (
    at_prevalence,
    prevalence_by_counts,
    prevalence_by_em,
    rate_bounds,
    read_prevalence,
    shift_scores,
)
from mmcovid.statistics.selective import COVERAGES, selective_risk

#: Prevalences that are estimated, and not stated.
ESTIMATED = ('counts', 'em')
#: What can be acted on, beside each disease.
ANY_DISEASE = 'any disease'
RATES = ('sensitivity', 'specificity', 'ppv', 'npv')


def measure_decisions(
    report: EvaluationReport,
    predicted: dict[str, Cases],
    deciding: dict[str, dict[str, Cases]],
    held_out: dict[str, dict[str, Cases]],
    resamples: Resamples,
) -> None:
    """Add all of it to a report.

    Args:
        report (EvaluationReport): To add to.
        predicted (dict[str, Cases]): Patients or scans of the test set as predicted, by model.
        deciding (dict[str, dict[str, Cases]]): Test cases with the scores that decide, by level
            and model.
        held_out (dict[str, dict[str, Cases]]): Validation cases with such scores, by level and
            model; without models if there is no validation set.
        resamples (Resamples): Of the patients of the test set.

    Raises:
        ValueError: The stated prevalence is none, or cannot be estimated.
    """
    settings, unit = report.settings, report.settings.unit
    report.selective_risk = {
        level: {name: _measure_risk(cases, resamples) for name, cases in models.items()}
        for level, models in deciding.items()
    }
    report.prediction_sets = {
        level: {
            name: measure_sets(cases, held_out[level][name], settings.set_coverage, resamples)
            for name, cases in models.items()
        }
        for level, models in deciding.items()
        if held_out[level]
    }
    report.net_benefit = {outcome: {} for outcome in outcomes(report.classes)}
    for name, cases in deciding[unit].items():
        _measure_model(report, name, predicted[name], cases, held_out[unit].get(name), resamples)
    absent = [
        named.display_name
        for named, count in zip(report.classes.images, report.sets[unit].per_class)
        if not count
    ]
    if report.stated_prevalence and absent:
        report.notes.append(
            f'The set has no {unit} of {", ".join(absent)}: at a prevalence that has, its figures '
            'are not defined.'
        )


def _measure_model(
    report: EvaluationReport,
    name: str,
    predicted: Cases,
    cases: Cases,
    known: Cases | None,
    resamples: Resamples,
) -> None:
    """Prevalence, predictive values and decision curves of a model, by its patients or scans."""
    unit, classes, prior = report.settings.unit, report.classes, None
    if known is not None:
        fit = fit_temperature(log_scores(known.scores), known.truth, sharpen, unit)
        if fit.note:
            report.notes.append(f'Scores of {unit}s ({name}): {fit.note}.')
        report.unit_temperature[name] = fit.temperature
        cases, known = (
            each.with_scores(sharpen(log_scores(each.scores), fit.temperature))
            for each in (cases, known)
        )
        found = estimate_prevalence(cases, known, resamples, report.settings.seed)
        report.prevalence[name] = found
        prior = np.array([each.validation for each in found])
    stated = _state_prevalence(report, name)
    if stated is not None:
        report.stated_prevalence[name] = stated.tolist()
        values = PredictiveValues(predictive_values(predicted, stated, classes, resamples))
        if prior is not None:
            scores = shift_scores(cases.scores, prior, stated)
            cases = replace(cases, scores=scores, pred=scores.argmax(1))
            values.corrected = predictive_values(cases, stated, classes, resamples)
        report.predictive_values[name] = values
    for outcome, positive in outcomes(classes).items():
        report.net_benefit[outcome][name] = measure_benefit(cases, positive, stated, resamples)


def outcomes(classes: Classes) -> dict[str, np.ndarray]:
    """What can be acted on: which classes are positive, (K,) bool, by its name."""
    ill = np.array([named.role == DISEASE for named in classes.images])
    each = np.eye(len(ill), dtype=bool)
    found = {named.name: row for named, row, is_ill in zip(classes.images, each, ill) if is_ill}
    return found | ({ANY_DISEASE: ill} if 1 < ill.sum() < len(ill) else {})


def _state_prevalence(report: EvaluationReport, model: str) -> np.ndarray | None:
    """The prevalence that figures are asked for, (K,)."""
    asked = report.settings.prevalence
    if asked is None:
        return None
    if asked not in ESTIMATED:
        return read_prevalence(asked, report.classes.image_names)
    if model not in report.prevalence:
        raise ValueError(
            f'prevalence {asked}: is estimated by the errors on a validation set. Give one '
            '(--calibrate-on), or state the prevalence'
        )
    values = np.array([getattr(each, f'by_{asked}').value for each in report.prevalence[model]])
    return values / values.sum()


def estimate_prevalence(
    cases: Cases, known: Cases, resamples: Resamples, seed: int
) -> list[ClassPrevalence]:
    """Of each class; patients of the validation set are resampled as well."""
    weights, classes = resamples.weights, cases.scores.shape[1]
    patients = known.cluster.max() + 1
    left_out = len(weights) - 1 - resamples.rounds  # of the test set
    known_weights = np.concatenate(
        [
            resample_clusters(patients, resamples.rounds, seed + 1),
            np.ones((left_out, patients), np.uint16),
        ]
    )
    counts = confusion_counts(known, known_weights)
    prior = counts.sum(2) / counts.sum((1, 2))[:, None]
    matrix = confusion_counts(cases, weights)
    predicted = matrix.sum(1) / matrix.sum((1, 2))[:, None]
    by_counts = prevalence_by_counts(predicted, at_prevalence(counts, np.ones(classes)))
    by_em = prevalence_by_em(cases.scores, prior, cases.cluster, weights)
    test = matrix[0].sum(1) / matrix[0].sum()
    return [
        ClassPrevalence(
            float(prior[0, k]),
            float(test[k]),
            *(_share(values[:, k], resamples) for values in (predicted, by_counts, by_em)),
        )
        for k in range(classes)
    ]


def _share(values: np.ndarray, resamples: Resamples) -> Estimate:
    """A share that may be 0, where its interval is symmetric."""
    found = resamples.estimate(values)
    return replace(
        found, low=float(np.maximum(found.low, 0)), high=float(np.minimum(found.high, 1))
    )


def predictive_values(
    cases: Cases, prevalence: np.ndarray, classes: Classes, resamples: Resamples
) -> Figures:
    """Accuracy, and :data:`RATES` of each class, of a set of this prevalence."""
    matrix = confusion_counts(cases, resamples.weights)
    values = count_figures(at_prevalence(matrix, prevalence))
    patients = np.array(
        [effective_clusters(cases.cluster[cases.truth == k]) for k in range(len(prevalence))]
    )
    bounds = rate_bounds(
        at_prevalence(matrix[:1], np.ones_like(prevalence))[0], patients, prevalence
    )

    def bounded(figure: np.ndarray, widest: np.ndarray) -> Estimate:
        found = resamples.estimate(figure)
        if found.low == found.high:  # no resample differs
            found = replace(found, low=float(widest[0]), high=float(widest[1]))
        return found

    figures = {'accuracy': bounded(values['accuracy'], bounds['accuracy'])}
    for k, name in enumerate(classes.image_names):
        for key in RATES:
            figures[f'{name}_{key}'] = bounded(values[key][:, k], bounds[key][k])
    return figures


def measure_benefit(
    cases: Cases, positive: np.ndarray, prevalence: np.ndarray | None, resamples: Resamples
) -> list[NetBenefit]:
    """A decision curve, at the shares of the classes that the cases have or that are given."""
    own = [cases.truth == k for k in range(len(positive))]
    if prevalence is None:
        prevalence = np.mean(own, axis=1)
    weights = benefit_weights(positive, prevalence)
    rates = action_rates(cases, positive, resamples.weights)
    patients = [effective_clusters(cases.cluster[each]) for each in own]
    return [
        NetBenefit(
            float(threshold),
            add_estimates(
                [
                    resamples.estimate(rates[:, t, k], patients=number)
                    for k, number in enumerate(patients)
                ],
                weights[t].tolist(),
            ),
            float(weights[t].sum()),
        )
        for t, threshold in enumerate(THRESHOLDS)
    ]


def measure_sets(
    cases: Cases, known: Cases, coverage: float, resamples: Resamples
) -> PredictionSets:
    """Prediction sets by thresholds of the validation cases."""
    thresholds = set_thresholds(known.scores, known.truth, known.cluster, coverage)
    sets = prediction_sets(cases.scores, thresholds)
    classes = []
    for k, threshold in enumerate(thresholds.tolist()):
        own, chosen_on = cases.truth == k, known.truth == k
        classes.append(
            ClassSets(
                threshold,
                int(chosen_on.sum()),
                len(np.unique(known.cluster[chosen_on])),
                resamples.share(sets[own, k], cases.cluster[own]),
            )
        )
    size = sets.sum(1)
    means = weighted_means(size[:, None].astype(float), cases.cluster, resamples.weights)
    return PredictionSets(
        classes,
        resamples.estimate(means[:, 0], scale='log'),
        resamples.share(size == 1, cases.cluster),
        resamples.share(size == 0, cases.cluster),
    )


def _measure_risk(cases: Cases, resamples: Resamples) -> SelectiveRisk:
    area, risks = selective_risk(cases, resamples.weights)
    return SelectiveRisk(
        resamples.estimate(area),
        resamples.share(cases.pred != cases.truth, cases.cluster),
        COVERAGES.tolist(),
        [resamples.estimate(risk) for risk in risks.T],
    )
