"""All figures of a report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from mmcovid.classes import Classes
from mmcovid.results import EvaluationReport, EvaluationSettings
from mmcovid.results.evaluation import (
    Figures,
    InputFile,
    SetSize,
    Subgroup,
)
from mmcovid.scan_class import RULES
from mmcovid.statistics.bootstrap import Resamples
from mmcovid.statistics.classification import (
    Cases,
    classification_figures,
    confusion_counts,
    patients_behind,
    unit_cases,
)
from mmcovid.statistics.clusters import cluster_names, unit_names
from mmcovid.statistics.lesions import lesion_figures

from .confidence import Runs, calibrate, measure_abstention, measure_calibration
from .decisions import measure_decisions
from .errors import surest_errors, worst_segmented
from .load import Dump, Models, check_same_slices, slice_cases
from .subgroups import group_slices, read_metadata

#: Figures of each run in every resample, (1 + R + G,) each, by model.
Replicates = dict[str, list[dict[str, np.ndarray]]]


@dataclass
class Results:
    """The report, and the cases that its curves are drawn of (of the first run of each model)."""

    report: EvaluationReport
    cases: dict[str, dict[str, Cases]] = field(default_factory=dict)  #: by level and model
    #: the same, with calibrated scores where there are such
    deciding: dict[str, dict[str, Cases]] = field(default_factory=dict)


@dataclass(frozen=True)
class PatientSample:
    """Slices of a test set in the order that all models share, and resamples of their patients."""

    entries: list[dict]  #: as the first dump has them
    order: dict[str, int]  #: position of each slice, by ``img_id``
    patients: dict[str, int]  #: index of each patient
    without_patient: int  #: number of slices that tell no patient
    resamples: Resamples

    @classmethod
    def of(cls, entries: Sequence[dict], settings: EvaluationSettings) -> 'PatientSample':
        """The sample of these dumped slices, in alphabetic order."""
        names, without_patient = cluster_names(entries)
        order = {name: i for i, name in enumerate(sorted(str(e['img_id']) for e in entries))}
        patients = {name: i for i, name in enumerate(sorted(set(names)))}
        return cls(
            sorted(entries, key=lambda entry: order[str(entry['img_id'])]),
            order,
            patients,
            without_patient,
            Resamples(len(patients), settings.rounds, settings.seed),
        )


def compute(
    models: Models, settings: EvaluationSettings, validation: Models | None = None
) -> Results:
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
        ValueError: If the predictions do not belong together; see :mod:`.load`.
    """
    dumps = [dump for runs in models.values() for dump in runs]
    check_same_slices(dumps)
    slices, lesions = (
        {name: runs for name, runs in models.items() if getattr(runs[0], kind)}
        for kind in ('slices', 'lesions')
    )
    report = EvaluationReport(
        settings=settings,
        classes=_classes_of(slices, lesions),
        reference=next(iter(models)),
        inputs=[_describe(name, dump) for name, runs in models.items() for dump in runs],
    )
    results = Results(report)
    if slices:
        measure_classes(results, slices, validation and {name: validation[name] for name in slices})
    if lesions:
        measure_lesions(report, lesions)
    report.notes += [
        f'{item.file} ({item.model}): {count} {reason}, not scored.'
        for item in report.inputs
        for reason, count in item.left_out.items()
    ]
    return results


def _classes_of(slices: Models, lesions: Models) -> Classes:
    """Those of slices of the first model that classifies, of lesions of the first that segments."""
    first, other = (
        next(iter(models.values()))[0].classes for models in (slices or lesions, lesions or slices)
    )
    return replace(other, images=first.images)


def _describe(name: str, dump: Dump) -> InputFile:
    return InputFile(
        model=name,
        file=Path(dump.path).name,
        sha256=dump.sha256,
        slices=len(dump.slices),
        lesion_slices=len(dump.lesions),
        left_out=dump.left_out,
    )


def measure_classes(results: Results, models: Models, validation: Models | None) -> None:
    """Add the figures of slices and of patients or scans to a report, and its cases.

    Args:
        results (Results): To add to.
        models (Models): Predictions on class-labelled slices.
        validation (Models, optional): To fit temperatures on.
    """
    report, settings = results.report, results.report.settings
    sample = PatientSample.of(next(iter(models.values()))[0].slices, settings)
    if sample.without_patient:
        report.notes.append(
            f'{sample.without_patient} of {len(sample.entries)} slices tell no patient: each scan, '
            'or else each slice, counts as a patient of its own, and the intervals are too narrow '
            'if patients have several.'
        )
    slices = {
        name: [slice_cases(dump, sample.order, sample.patients) for dump in runs]
        for name, runs in models.items()
    }
    units = unit_names(sample.entries, settings.unit)
    for level, cases in (('slice', slices), (settings.unit, _group(report, slices, units))):
        _measure_level(report, level, cases, sample)
        results.cases[level] = _first_runs(cases)

    report.calibration, decided_by = measure_calibration(
        models, slices, sample.resamples, validation
    )
    report.notes += [
        f'{run.file} ({name}): {run.note}.'
        for name, runs in report.calibration.items()
        for run in runs
        if run.note
    ]
    results.deciding = {
        'slice': decided_by,
        settings.unit: {
            name: _unit_cases(report, cases, units)[0] for name, cases in decided_by.items()
        },
    }
    held_out = _held_out_cases(report, validation or {})
    report.abstention = {
        level: {
            name: measure_abstention(
                run, sample.resamples, settings.abstain_below, held_out[level].get(name)
            )
            for name, run in cases.items()
        }
        for level, cases in results.deciding.items()
    }
    measure_decisions(
        report, results.cases[settings.unit], results.deciding, held_out, sample.resamples
    )
    if settings.metadata:
        report.subgroups = _measure_subgroups(report, settings.metadata, slices, sample)
    if settings.gallery:
        report.errors = {
            name: surest_errors(cases, models[name][0].paths(), settings.gallery)
            for name, cases in results.cases['slice'].items()
        }


def _held_out_cases(report: EvaluationReport, validation: Models) -> dict[str, dict[str, Cases]]:
    """Validation cases of each model's first run, with calibrated scores, by level and model."""
    settings = report.settings
    cases: dict[str, dict[str, Cases]] = {'slice': {}, settings.unit: {}}
    for name, (dump, *_) in validation.items():
        sample = PatientSample.of(dump.slices, settings)
        slices = calibrate(
            slice_cases(dump, sample.order, sample.patients),
            dump,
            report.calibration[name][0].temperature or 1.0,
        )
        cases['slice'][name] = slices
        units = unit_names(sample.entries, settings.unit)
        cases[settings.unit][name], _ = _unit_cases(report, slices, units)
    return cases


def measure_lesions(report: EvaluationReport, models: Models) -> None:
    """Add the figures of lesions to a report.

    Args:
        report (EvaluationReport): To add to.
        models (Models): Predictions on slices with true lesions.
    """
    settings, names = report.settings, report.classes.lesion_names
    sample = PatientSample.of(next(iter(models.values()))[0].lesions, settings)
    if sample.without_patient:
        report.notes.append(
            f'{sample.without_patient} of {len(sample.entries)} slices with lesion masks tell no '
            'patient: each counts as a patient of its own.'
        )
    report.sets['lesion'] = SetSize(
        cases=len(sample.entries),
        patients=len(sample.patients),
        per_class=[
            sum(item['bbox_label'] == k for entry in sample.entries for item in entry['instances'])
            for k in range(len(names))
        ],
    )
    replicates: Replicates = {name: [] for name in models}
    for name, runs in models.items():
        for dump in runs:
            own = sorted(dump.lesions, key=lambda entry: sample.order[str(entry['img_id'])])
            cluster = np.array([sample.patients[patient] for patient in cluster_names(own)[0]])
            replicates[name].append(
                lesion_figures(own, names, cluster, sample.resamples.weights, settings.score_thr)
            )
    _add_figures(report, 'lesion', replicates, sample.resamples, {name: {} for name in models})
    if settings.gallery:
        report.lesion_errors = {
            name: worst_segmented(
                first.lesions, first.classes, settings.score_thr, settings.gallery
            )
            for name, (first, *_) in models.items()
        }


def _unit_cases(report: EvaluationReport, slices: Cases, units: np.ndarray) -> tuple[Cases, int]:
    """One case per unit, by the rule of the settings."""
    rule, normal = RULES[report.settings.aggregate], report.classes.normal_label
    return unit_cases(slices, units, lambda scores: rule(scores, normal))


def _group(report: EvaluationReport, slices: Runs, units: np.ndarray) -> Runs:
    """Cases of patients or scans from those of their slices, (n,) names of ``units``."""
    settings, mixed = report.settings, 0
    grouped: Runs = {name: [] for name in slices}
    for name, runs in slices.items():
        for run in runs:
            # how many are mixed is a matter of the truth, which all runs share
            cases, mixed = _unit_cases(report, run, units)
            grouped[name].append(cases)
    if mixed:
        report.notes.append(
            f'{mixed} {settings.unit}s have slices of different classes: the highest label among '
            'them is taken as theirs.'
        )
    return grouped


def _measure_level(
    report: EvaluationReport, level: str, cases: Runs, sample: PatientSample
) -> None:
    """Add size, figures and confusion matrices of slices, patients or scans."""
    names, weights = report.classes.image_names, sample.resamples.weights
    first = next(iter(cases.values()))[0]
    size = report.sets[level] = SetSize(
        cases=len(first), patients=len(sample.patients), per_class=_count_classes(first, names)
    )
    absent = [
        named.display_name
        for named, count in zip(report.classes.images, size.per_class)
        if not count
    ]
    if absent and level == 'slice':
        report.notes.append(
            f'The set has no slice of {", ".join(absent)}: macro figures are means '
            'over the other classes.'
        )
    replicates = {
        name: [classification_figures(run, weights, names) for run in runs]
        for name, runs in cases.items()
    }
    _add_figures(
        report,
        level,
        replicates,
        sample.resamples,
        {name: _fewest_patients(runs, names) for name, runs in cases.items()},
    )
    report.confusion[level] = {
        name: confusion_counts(run, weights[:1])[0].astype(int).tolist()
        for name, run in _first_runs(cases).items()
    }


def _first_runs(cases: Runs) -> dict[str, Cases]:
    return {name: runs[0] for name, runs in cases.items()}


def _count_classes(cases: Cases, names: Sequence[str]) -> list[int]:
    return np.bincount(cases.truth, minlength=len(names)).tolist()


def _add_figures(
    report: EvaluationReport,
    level: str,
    replicates: Replicates,
    resamples: Resamples,
    patients: Mapping[str, Mapping[str, float]],
) -> None:
    """Estimates of each model, means over its runs, and differences from the first model."""
    means = {name: _mean_over_runs(runs) for name, runs in replicates.items()}
    report.figures[level] = {
        name: {
            key: replace(
                resamples.estimate(values, patients=patients[name].get(key)),
                sd_of_runs=_sd_of_runs(replicates[name], key),
            )
            for key, values in figures.items()
        }
        for name, figures in means.items()
    }
    reference = means.pop(report.reference, None)
    report.differences[level] = {
        name: {
            key: resamples.estimate(values - reference[key], scale='linear')
            for key, values in figures.items()
        }
        for name, figures in means.items()
        if reference is not None
    }


def _mean_over_runs(runs: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {key: np.mean([run[key] for run in runs], axis=0) for key in runs[0]}


def _sd_of_runs(runs: Sequence[dict[str, np.ndarray]], key: str) -> float | None:
    """Standard deviation of a figure between runs, on the set itself; None of one run."""
    return float(np.std([run[key][0] for run in runs], ddof=1)) if len(runs) > 1 else None


def _fewest_patients(runs: Sequence[Cases], names: tuple[str, ...]) -> dict[str, float]:
    """Effective number of patients behind each figure, of the run that has the fewest."""
    counts = [patients_behind(run, names) for run in runs]
    return {key: min(count[key] for count in counts) for key in counts[0]}


def _measure_subgroups(
    report: EvaluationReport, metadata: str, slices: Runs, sample: PatientSample
) -> dict[str, dict[str, Subgroup]]:
    """Figures of the slices by each column of the metadata."""
    settings, names = report.settings, report.classes.image_names
    key, rows = read_metadata(metadata, settings.subgroups)
    table = {}
    for column in settings.subgroups:
        groups = group_slices(sample.entries, key, rows, column)
        table[column] = {
            str(group): _measure_subgroup(slices, groups == group, names, sample.resamples)
            for group in sorted(set(groups))
        }
    return table


def _measure_subgroup(
    slices: Runs, chosen: np.ndarray, names: tuple[str, ...], resamples: Resamples
) -> Subgroup:
    """Figures of the chosen slices, (n,) bool."""
    parts = {name: [run.take(chosen) for run in runs] for name, runs in slices.items()}
    first = next(iter(parts.values()))[0]
    return Subgroup(
        slices=len(first),
        patients=len(set(first.cluster)),
        per_class=_count_classes(first, names),
        figures={name: _estimate_runs(runs, names, resamples) for name, runs in parts.items()},
    )


def _estimate_runs(runs: Sequence[Cases], names: tuple[str, ...], resamples: Resamples) -> Figures:
    """Estimates of the means over runs."""
    means = _mean_over_runs([classification_figures(run, resamples.weights, names) for run in runs])
    patients = _fewest_patients(runs, names)
    return {
        key: resamples.estimate(values, patients=patients[key]) for key, values in means.items()
    }
