"""All figures of a report, as plain values."""
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from mmcovid.statistics.bootstrap import Resamples, effective_clusters, weighted_sums
from mmcovid.statistics.calibration import (
    at_coverage,
    coverage_curve,
    fit_temperature,
    image_scores,
    reliability,
)
from mmcovid.statistics.class_scores import is_decided
from mmcovid.statistics.classification import (
    Cases,
    calibration_figures,
    classification_figures,
    confusion_counts,
    patients_behind,
    unit_cases,
)
from mmcovid.statistics.clusters import cluster_names, unit_names
from mmcovid.statistics.lesions import lesion_figures

from .load import Dump, check_apart, check_same_slices, slice_cases
from .subgroups import group_slices, read_metadata

COVERAGES = (1.0, 0.95, 0.9, 0.8, 0.7)
#: Figures of the comparison and of the subgroups that a page shows; the tables have all.
HEADLINES = ('accuracy', 'macro_f1', 'weighted_f1', 'macro_auroc')
#: A model or several training runs of it, by name.
Models = dict[str, list[Dump]]


@dataclass
class Settings:
    """What a report is to contain; see the options of ``tools/analysis_tools/report.py``."""

    unit: str = 'patient'
    aggregate: str = 'mean'
    rounds: int = 2000
    seed: int = 0
    score_thr: float = 0.3
    abstain_below: float | None = None
    metadata: str | None = None
    subgroups: Sequence[str] = ()
    gallery: int = 12
    image_root: str = ''


@dataclass
class Results:
    """Figures, and the cases that the pictures are drawn of (of the first run of each model)."""

    data: dict  #: plain values, for JSON and the tables
    cases: dict[str, dict[str, Cases]] = field(default_factory=dict)  #: by level and model
    #: the same, with calibrated scores where there are such
    deciding: dict[str, dict[str, Cases]] = field(default_factory=dict)


def compute(models: Models, settings: Settings, validation: Models | None = None) -> Results:
    """Compute the figures of one or more models.

    Args:
        models (Models): Predictions on one test set; several of one name are training runs of
            one model, and its figures are means over them.
        settings (Settings): What to compute.
        validation (Models, optional): Predictions on a validation set, as ``models``, to fit
            temperatures on. Defaults to None.

    Returns:
        Results: The figures.

    Raises:
        ValueError: If the predictions do not belong together; see :mod:`.predictions`.
    """
    dumps = [dump for runs in models.values() for dump in runs]
    check_same_slices(dumps)
    reference = dumps[0]
    results = Results(dict(
        settings=asdict(settings), classes=reference.classes,
        lesion_classes=reference.lesion_classes, reference=next(iter(models)),
        inputs=[_describe(name, dump) for name, runs in models.items() for dump in runs],
        notes=[], sets={}, figures={}, differences={}))
    if reference.slices:
        _classify(results, models, settings, validation)
    if reference.lesions:
        _segment(results, models, settings)
    for name, runs in models.items():
        for dump in runs:
            results.data['notes'] += [
                f'{Path(dump.path).name} ({name}): {count} {reason}, not scored.'
                for reason, count in dump.left_out.items()]
    return results


def _describe(name: str, dump: Dump) -> dict:
    return dict(model=name, file=Path(dump.path).name, sha256=dump.sha256,
                slices=len(dump.slices), lesion_slices=len(dump.lesions), left_out=dump.left_out)


def _index(entries: Sequence[dict]) -> tuple[dict[str, int], dict[str, int], int]:
    """Positions of the slices and of their patients, in alphabetic order, and the strangers."""
    names, strangers = cluster_names(entries)
    order = {name: i for i, name in enumerate(sorted(str(e['img_id']) for e in entries))}
    return order, {name: i for i, name in enumerate(sorted(set(names)))}, strangers


def _classify(results: Results, models: Models, settings: Settings,
              validation: Models | None) -> None:
    """Figures of slices and of patients or scans."""
    data, entries = results.data, next(iter(models.values()))[0].slices
    order, clusters, strangers = _index(entries)
    if strangers:
        data['notes'].append(
            f'{strangers} of {len(entries)} slices tell no patient: each scan, or else each slice, '
            'counts as a patient of its own, and the intervals are too narrow if patients have '
            'several.')
    resamples = Resamples(len(clusters), settings.rounds, settings.seed)
    entries = sorted(entries, key=lambda entry: order[str(entry['img_id'])])
    units = unit_names(entries, settings.unit)

    slices = {name: [slice_cases(dump, order, clusters) for dump in runs]
              for name, runs in models.items()}
    grouped, mixed = {}, 0
    for name, runs in slices.items():
        pairs = [unit_cases(cases, units, settings.aggregate) for cases in runs]
        grouped[name], mixed = [cases for cases, _ in pairs], pairs[0][1]
    if mixed:
        data['notes'].append(
            f'{mixed} {settings.unit}s have slices of different classes: the highest label among '
            'them is taken as theirs.')

    for level, cases in (('slice', slices), (settings.unit, grouped)):
        first = next(iter(cases.values()))[0]
        data['sets'][level] = dict(
            cases=len(first), patients=len(clusters),
            per_class=np.bincount(first.truth, minlength=len(data['classes'])).tolist())
        results.cases[level] = {name: runs[0] for name, runs in cases.items()}
        if level == 'slice':
            absent = [name for name, count in zip(data['classes'], data['sets'][level]['per_class'])
                      if not count]
            if absent:
                data['notes'].append(f'The set has no slice of {", ".join(absent)}: macro figures '
                                     'are means over the other classes.')
        replicates = {
            name: [classification_figures(run, resamples.weights, data['classes']) for run in runs]
            for name, runs in cases.items()}
        _add_figures(data, level, replicates, resamples, {
            name: _fewest_patients(runs, data['classes']) for name, runs in cases.items()})
        data.setdefault('confusion', {})[level] = {
            name: confusion_counts(runs[0], resamples.weights[:1])[0].astype(int).tolist()
            for name, runs in cases.items()}

    deciding = _calibrate(data, models, slices, resamples, validation)
    results.deciding = {
        'slice': deciding,
        settings.unit: {name: unit_cases(cases, units, settings.aggregate)[0]
                        for name, cases in deciding.items()}}
    data['abstention'] = {
        level: {name: _abstention(run, resamples, settings.abstain_below)
                for name, run in cases.items()} for level, cases in results.deciding.items()}
    if settings.metadata:
        data['subgroups'] = _by_group(entries, slices, resamples, settings, data['classes'])


def _segment(results: Results, models: Models, settings: Settings) -> None:
    """Figures of the lesions."""
    data, entries = results.data, next(iter(models.values()))[0].lesions
    order, clusters, strangers = _index(entries)
    if strangers:
        data['notes'].append(f'{strangers} of {len(entries)} slices with lesion masks tell no '
                             'patient: each counts as a patient of its own.')
    resamples = Resamples(len(clusters), settings.rounds, settings.seed)
    data['sets']['lesion'] = dict(cases=len(entries), patients=len(clusters), per_class=[
        sum(item['bbox_label'] == k for entry in entries for item in entry['instances'])
        for k in range(len(data['lesion_classes']))])
    replicates = {}
    for name, runs in models.items():
        replicates[name] = []
        for dump in runs:
            own = sorted(dump.lesions, key=lambda entry: order[str(entry['img_id'])])
            cluster = np.array([clusters[patient] for patient in cluster_names(own)[0]])
            replicates[name].append(lesion_figures(
                own, data['lesion_classes'], cluster, resamples.weights, settings.score_thr))
    _add_figures(data, 'lesion', replicates, resamples, {name: {} for name in models})


def _add_figures(data: dict, level: str, replicates: dict[str, list[dict]], resamples: Resamples,
                 patients: dict[str, dict[str, float]]) -> None:
    """Estimates of each model, means over its runs, and differences from the first model."""
    means = {
        name: {key: np.mean([run[key] for run in runs], axis=0) for key in runs[0]}
        for name, runs in replicates.items()}
    data['figures'][level] = {}
    for name, figures in means.items():
        runs = replicates[name]
        data['figures'][level][name] = {
            key: resamples.estimate(values, patients=patients[name].get(key)) | (
                dict(sd_of_runs=float(np.std([run[key][0] for run in runs], ddof=1)))
                if len(runs) > 1 else {})
            for key, values in figures.items()}
    reference = means[data['reference']]
    data['differences'][level] = {
        name: {key: resamples.estimate(values - reference[key], scale='linear')
               for key, values in figures.items()}
        for name, figures in means.items() if name != data['reference']}


def _fewest_patients(runs: Sequence[Cases], classes: tuple[str, ...]) -> dict[str, float]:
    """Effective number of patients behind each figure, of the run that has the fewest."""
    counts = [patients_behind(run, classes) for run in runs]
    return {key: min(count[key] for count in counts) for key in counts[0]}


def _calibrate(data: dict, models: Models, slices: dict[str, list[Cases]], resamples: Resamples,
               validation: Models | None) -> dict[str, Cases]:
    """Calibration of the slices' scores, and temperatures if there is a validation set.

    Returns the slices of each model's first run, with calibrated scores if there are such.
    """
    data['calibration'] = calibration = {}
    deciding = {}
    for name, runs in slices.items():
        calibration[name] = []
        for i, cases in enumerate(runs):
            entry = dict(before=_calibration(cases, resamples),
                         bins=reliability(cases))
            if validation:
                test, held_out = models[name][i], validation[name][i]
                check_apart(held_out, test)
                fit = fit_temperature(held_out.logits(), held_out.truth())
                if fit['note']:
                    data['notes'].append(f'{Path(held_out.path).name} ({name}): {fit["note"]}.')
                cases = _rescored(cases, test, fit['temperature'])
                entry.update(
                    fit, file=Path(held_out.path).name, slices=len(held_out.slices),
                    after=_calibration(cases, resamples),
                    bins_after=reliability(cases))
            calibration[name].append(entry)
            deciding.setdefault(name, cases)
    return deciding


def _rescored(cases: Cases, dump: Dump, temperature: float) -> Cases:
    logits = dict(zip(dump.ids(), dump.logits()))
    return cases.with_scores(image_scores(np.array([logits[i] for i in cases.ids]), temperature))


def _calibration(cases: Cases, resamples: Resamples) -> dict[str, dict]:
    """Estimates of calibration; ECE goes without interval, as resampling inflates it."""
    figures = {key: resamples.estimate(values, scale='log')
               for key, values in calibration_figures(cases, resamples.weights).items()}
    figures['ece'].update(low=float('nan'), high=float('nan'))
    return figures


def _abstention(cases: Cases, resamples: Resamples, abstain_below: float | None) -> list[dict]:
    """Coverage and accuracy at thresholds of the confidence."""
    curve = coverage_curve(cases)
    thresholds = [at_coverage(curve, coverage) for coverage in COVERAGES]
    if abstain_below is not None:
        thresholds.append(abstain_below)
    rows = []
    for threshold in dict.fromkeys(thresholds):
        kept = is_decided(cases.scores, threshold)
        right = kept & (cases.pred == cases.truth)
        sums = weighted_sums(
            np.column_stack([np.ones(len(cases)), kept, right]), cases.cluster,
            resamples.weights)
        with np.errstate(invalid='ignore'):
            rows.append(dict(
                threshold=threshold, chosen=threshold == abstain_below, kept=int(kept.sum()),
                coverage=resamples.estimate(
                    sums[:, 1] / sums[:, 0], patients=effective_clusters(cases.cluster)),
                accuracy=resamples.estimate(
                    sums[:, 2] / sums[:, 1], patients=effective_clusters(cases.cluster[kept]))))
    return rows


def _by_group(entries: Sequence[dict], slices: dict[str, list[Cases]], resamples: Resamples,
              settings: Settings, classes: tuple[str, ...]) -> dict:
    """Figures of the slices by each column of the metadata."""
    key, rows = read_metadata(settings.metadata, settings.subgroups)
    table = {}
    for column in settings.subgroups:
        groups = group_slices(entries, key, rows, column)
        table[column] = {}
        for group in sorted(set(groups)):
            chosen = groups == group
            figures = {}
            for name, runs in slices.items():
                parts = [run.take(chosen) for run in runs]
                replicates = [classification_figures(run, resamples.weights, classes)
                              for run in parts]
                patients = _fewest_patients(parts, classes)
                figures[name] = {
                    k: resamples.estimate(
                        np.mean([r[k] for r in replicates], axis=0), patients=patients[k])
                    for k in replicates[0]}
            part = next(iter(slices.values()))[0].take(chosen)
            table[column][group] = dict(
                slices=len(part), patients=len(set(part.cluster)),
                per_class=np.bincount(part.truth, minlength=len(classes)).tolist(),
                figures=figures)
    return table
