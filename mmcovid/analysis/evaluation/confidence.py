"""How far scores can be trusted: calibration and abstention."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from mmcovid.results import Estimate
from mmcovid.results.evaluation import AbstentionRow, CalibrationFigures, CalibrationRun
from mmcovid.statistics.bootstrap import Resamples, effective_clusters, weighted_sums
from mmcovid.statistics.calibration import (
    coverage_curve,
    fit_temperature,
    reliability,
)
from mmcovid.statistics.class_scores import is_decided
from mmcovid.statistics.classification import Cases, calibration_figures

from .load import Dump, Models, check_apart

COVERAGES = (1.0, 0.95, 0.9, 0.8, 0.7)
#: Cases of a model's training runs, by model.
Runs = dict[str, list[Cases]]


def measure_calibration(
    models: Models,
    slices: Runs,
    resamples: Resamples,
    validation: Models | None,
) -> tuple[dict[str, list[CalibrationRun]], dict[str, Cases]]:
    """Calibration of the slices' scores, and temperatures if there is a validation set.

    Beside it, the slices of each model's first run, with calibrated scores if there are such.
    """
    calibration: dict[str, list[CalibrationRun]] = {name: [] for name in slices}
    deciding: dict[str, Cases] = {}
    for name, runs in slices.items():
        for i, cases in enumerate(runs):
            run = CalibrationRun(_calibration(cases, resamples), reliability(cases))
            if validation:
                run, cases = _scale(run, cases, models[name][i], validation[name][i], resamples)
            calibration[name].append(run)
            deciding.setdefault(name, cases)
    return calibration, deciding


def measure_abstention(
    cases: Cases, resamples: Resamples, abstain_below: float | None, held_out: Cases | None
) -> list[AbstentionRow]:
    """Coverage and accuracy at thresholds of the confidence.

    Thresholds for a coverage are chosen on validation cases, without such on the cases themselves.
    """
    curve = coverage_curve(cases if held_out is None else held_out)
    thresholds = [curve.threshold_at(coverage) for coverage in COVERAGES]
    if abstain_below is not None:
        thresholds.append(abstain_below)
    return [
        _abstain(cases, resamples, threshold, threshold == abstain_below)
        for threshold in dict.fromkeys(thresholds)
    ]


def _scale(
    run: CalibrationRun, cases: Cases, test: Dump, held_out: Dump, resamples: Resamples
) -> tuple[CalibrationRun, Cases]:
    """The run with a temperature fitted on held-out slices, and the cases with its scores."""
    check_apart(held_out, test)
    if held_out.scores_at is not test.scores_at:
        raise ValueError(
            f'{held_out.path} and {test.path}: one is a table of scores, the other none. Give two '
            'tables, or two dumps'
        )
    fit = fit_temperature(held_out.logits(), held_out.truth(), held_out.scores_at)
    cases = calibrate(cases, test, fit.temperature)
    run = replace(
        run,
        **asdict(fit),
        file=Path(held_out.path).name,
        slices=len(held_out.slices),
        after=_calibration(cases, resamples),
        bins_after=reliability(cases),
    )
    return run, cases


def calibrate(cases: Cases, dump: Dump, temperature: float) -> Cases:
    """Slices of a dump with scores of this temperature."""
    logits = dict(zip(dump.ids(), dump.logits()))
    return cases.with_scores(
        dump.scores_at(np.array([logits[name] for name in cases.ids]), temperature)
    )


def _calibration(cases: Cases, resamples: Resamples) -> CalibrationFigures:
    figures = {
        key: resamples.estimate(values, scale='log')
        for key, values in calibration_figures(cases, resamples.weights).items()
    }
    figures['ece'] = Estimate(figures['ece'].value, float('nan'), float('nan'))
    return CalibrationFigures(**figures)


def _abstain(cases: Cases, resamples: Resamples, threshold: float, chosen: bool) -> AbstentionRow:
    kept = is_decided(cases.scores, threshold)
    right = kept & (cases.pred == cases.truth)
    sums = weighted_sums(
        np.column_stack([np.ones(len(cases)), kept, right]), cases.cluster, resamples.weights
    )
    with np.errstate(invalid='ignore'):
        coverage, accuracy = sums[:, 1] / sums[:, 0], sums[:, 2] / sums[:, 1]
    return AbstentionRow(
        threshold=threshold,
        chosen=chosen,
        kept=int(kept.sum()),
        coverage=resamples.estimate(coverage, patients=effective_clusters(cases.cluster)),
        accuracy=resamples.estimate(accuracy, patients=effective_clusters(cases.cluster[kept])),
    )
