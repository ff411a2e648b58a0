"""All figures of a comparison of label maps."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmcovid.classes import Classes
from mmcovid.ct import CTVolume, from_stored, to_stored, voxel_ml
from mmcovid.data_tools.label_maps import read_labels
from mmcovid.results import Estimate, LesionReport, LesionSettings
from mmcovid.results.evaluation import Figures
from mmcovid.results.lesions import (
    ComparedLesion,
    ComparedScan,
    FrocCurve,
    ModelLesions,
    TargetFigures,
)
from mmcovid.scans.label_maps import class_mask, lesion_mask
from mmcovid.scans.lesions import (
    LesionVoxels,
    LungFrame,
    describe_lesions,
    find_lung_frame,
    join_lesions,
)
from mmcovid.scans.measure import LESIONS
from mmcovid.statistics.agreement import agreement_figures
from mmcovid.statistics.bootstrap import (
    Resamples,
    effective_clusters,
    weighted_means,
    weighted_sums,
)
from mmcovid.statistics.detection import (
    PANOPTIC_IOU,
    RATES,
    Detections,
    detection_figures,
    froc_curve,
    froc_sensitivity,
    match_best_first,
    panoptic_figures,
)
from mmcovid.statistics.surfaces import surface_figures

from .load import LabelMaps

#: Fewer patients than this make a note.
_FEW = 10
#: What is a mean of scans, and the scale of its intervals.
_OF_SCANS = {'dice': 'logit', 'hd95': 'log', 'assd': 'log', 'nsd': 'logit'}
_SCALES = _OF_SCANS | {
    'fp_per_scan': 'log',
    'bias': 'linear',
    'limit_low': 'linear',
    'limit_high': 'linear',
}
#: Figures in every resample, by target and name.
Replicates = dict[str, dict[str, np.ndarray]]


def rate_key(rate: float) -> str:
    """Name of the sensitivity at a number of false positives per scan."""
    return f'sensitivity_at_{rate:g}'


@dataclass
class _Truth:
    """A scan as it is."""

    scan: str
    patient: str
    volume: CTVolume
    lesions: LesionVoxels
    frame: LungFrame | None
    left_out: int


def compare(
    models: Mapping[str, LabelMaps],
    truth: LabelMaps,
    classes: Classes,
    settings: LesionSettings,
    patients: Mapping[str, str] | None = None,
) -> LesionReport:
    """Compare the label maps of models with the truth, scan by scan.

    Args:
        models (Mapping[str, LabelMaps]): Of the scans of the truth, see :func:`~.load.load_models`.
        truth (LabelMaps): The true ones.
        classes (Classes): What they hold.
        settings (LesionSettings): What to compute.
        patients (Mapping[str, str], optional): Patient of each scan. Defaults to None: each scan is
            of its own.

    Returns:
        LesionReport: The figures.

    Raises:
        OSError, ValueError: A label map cannot be read, or does not fit the truth.
    """
    found = {
        name: ModelLesions(maps.source.resolve().name, maps.scored, {}, {}, None, [], [], [])
        for name, maps in models.items()
    }
    for scan, path in truth.files.items():
        true = _read_truth(scan, patients[scan] if patients else scan, path, classes, settings)
        for name, maps in models.items():
            _compare_scan(found[name], maps, true, classes, settings)
    names = sorted({each.patient for each in next(iter(found.values())).scans})
    resamples = Resamples(len(names), settings.rounds, settings.seed)
    replicates = {}
    for name, model in found.items():
        cluster = np.array([names.index(each.patient) for each in model.scans])
        replicates[name] = _measure_model(model, cluster, resamples)
    first, *others = replicates
    one = found[first]
    return LesionReport(
        settings=settings,
        classes=list(classes.lesion_names),
        truth=truth.source.resolve().name,
        scans=len(one.scans),
        patients=len(names),
        true_lesions=sum(each.true_lesions for each in one.scans),
        models=found,
        differences={
            other: _differences(replicates[first], replicates[other], resamples) for other in others
        },
        notes=_notes(found, len(names), patients is None),
    )


def _read_truth(
    scan: str, patient: str, path: Any, classes: Classes, settings: LesionSettings
) -> _Truth:
    volume = read_labels(path, classes)
    lesions = join_lesions(volume.array, classes)
    kept = _large_enough(lesions, volume, settings)
    frame = None
    if classes.lung is not None:
        frame = find_lung_frame(volume.array > 0, volume.spacing)
    return _Truth(scan, patient, volume, lesions.largest(kept), frame, len(lesions.sizes) - kept)


def _large_enough(lesions: LesionVoxels, volume: CTVolume, settings: LesionSettings) -> int:
    return int((lesions.sizes * voxel_ml(volume.spacing) >= settings.least_lesion_ml).sum())


def _compare_scan(
    model: ModelLesions, maps: LabelMaps, true: _Truth, classes: Classes, settings: LesionSettings
) -> None:
    """Add a scan to what is known of a model."""
    volume = read_labels(maps.files[true.scan], classes, like=true.volume)
    every = join_lesions(volume.array, classes)
    kept, scores, unplaced = _large_enough(every, volume, settings), None, 0
    if maps.points is not None:
        scores, unplaced = _place_scores(maps, true.scan, every, volume, kept)
    elif maps.scored:
        scores = _read_scores(maps, true.scan, every, volume)
        kept = min(kept, len(scores))
    lesions = every.largest(kept)
    iou = overlaps(true.lesions, lesions)
    given = np.ones(kept) if scores is None else np.array(scores[:kept])
    matched = match_best_first(iou, given, settings.iou)
    pairs = iou[iou > PANOPTIC_IOU]
    model.scans.append(
        ComparedScan(
            scan=true.scan,
            patient=true.patient,
            targets=_compare_targets(true.volume, volume, classes, settings.tolerance_mm),
            true_lesions=len(true.lesions.sizes),
            found_lesions=kept,
            hits=int((matched >= 0).sum()),
            true_left_out=true.left_out,
            found_left_out=len(every.sizes) - kept,
            pairs=len(pairs),
            iou_sum=float(pairs.sum()),
            unplaced=unplaced,
        )
    )
    partner = np.full(len(true.lesions.sizes), -1)
    partner[matched[matched >= 0]] = np.flatnonzero(matched >= 0)
    model.true += _list_lesions(true, true.lesions, true.volume, None, iou, partner, classes)
    model.found += _list_lesions(
        true, lesions, volume, scores and scores[:kept], iou.T, matched, classes
    )


def _read_scores(
    maps: LabelMaps, scan: str, lesions: LesionVoxels, volume: CTVolume
) -> list[float]:
    """The scores of the lesions that ``results.json`` lists, the largest first.

    Raises:
        ValueError: They are not those of the label map.
    """
    told = maps.lesions[scan]
    index = np.array([lesion['voxel'] for lesion in told], int).reshape(-1, 3)[:, ::-1]
    inside = (index >= 0).all() and (index < volume.array.shape).all()
    if not inside or not np.array_equal(
        lesions.find(np.ravel_multi_index(tuple(index.T), volume.array.shape)),
        np.arange(len(told)),
    ):
        raise ValueError(
            f'{maps.files[scan]}: has other lesions than results.json beside it. Predict the scan '
            'again.'
        )
    return [lesion['score'] for lesion in told]


def _place_scores(
    maps: LabelMaps, scan: str, lesions: LesionVoxels, volume: CTVolume, kept: int
) -> tuple[list[float], int]:
    """The highest score of each of the ``kept`` largest lesions, of a table.

    Returns:
        tuple[list[float], int]: The scores, and how many of the table are in no lesion.

    Raises:
        ValueError: A lesion has none, or a voxel is outside of the scan.
    """
    index, scores = (maps.points or {})[scan]
    size = to_stored(volume.array, volume).shape[::-1]
    if not ((index >= 0) & (index < size)).all():
        raise ValueError(
            f'{maps.files[scan]}: a score is of a voxel outside of {size}. Correct it.'
        )
    place = np.ravel_multi_index(tuple(from_stored(index, volume).T), volume.array.shape)
    lesion = lesions.find(place)
    best = np.full(len(lesions.sizes), -np.inf)
    np.maximum.at(best, lesion[lesion >= 0], scores[lesion >= 0])
    if missing := int(np.isneginf(best[:kept]).sum()):
        raise ValueError(
            f'{maps.files[scan]}: {missing} of its {kept} lesions have no score in the table. Give '
            'a voxel of each, or leave out the scores.'
        )
    return best[:kept].tolist(), int((lesion < 0).sum())


def overlaps(true: LesionVoxels, found: LesionVoxels) -> np.ndarray:
    """Intersection over union of true and found lesions of one grid, (t, d)."""
    t, d = len(true.sizes), len(found.sizes)
    hit = true.find(found.place)
    both = np.bincount(hit[hit >= 0] * d + found.lesion[hit >= 0], minlength=t * d).reshape(t, d)
    return both / np.maximum(true.sizes[:, None] + found.sizes - both, 1)


def _list_lesions(
    true: _Truth,
    lesions: LesionVoxels,
    volume: CTVolume,
    scores: list[float] | None,
    iou: np.ndarray,
    partner: np.ndarray,
    classes: Classes,
) -> list[ComparedLesion]:
    """The lesions of one side, n of them.

    Args:
        true (_Truth): The scan.
        lesions (LesionVoxels): Of the truth, or of a model.
        volume (CTVolume): Their label map.
        scores (list[float], optional): Of found ones.
        iou (np.ndarray): Overlap with the lesions of the other side, (n, others).
        partner (np.ndarray): The one that each is matched with, (n,), int; -1 for none.
        classes (Classes): Meaning of the labels.
    """
    described = describe_lesions(
        lesions,
        volume.array,
        scores or [None] * len(lesions.sizes),
        voxel_ml(volume.spacing),
        true.frame,
        classes,
    )
    return [
        ComparedLesion(
            true.scan,
            each.class_,
            each.ml,
            each.score,
            float(row[other] if other >= 0 else row.max(initial=0)),
            bool(other >= 0),
            each.side,
            each.third,
            each.depth,
        )
        for each, row, other in zip(described, iou, partner)
    ]


def _compare_targets(
    true: CTVolume, found: CTVolume, classes: Classes, tolerance: float
) -> dict[str, TargetFigures]:
    """Overlap, surfaces and volumes of all targets."""
    figures = {}
    for target in targets_of(classes):
        masks = [
            lesion_mask(each.array, classes)
            if target == LESIONS
            else class_mask(each.array, target, classes)
            for each in (true, found)
        ]
        in_true, in_found, both = (
            int(np.count_nonzero(mask)) for mask in (*masks, masks[0] & masks[1])
        )
        total = in_true + in_found
        figures[target] = TargetFigures(
            in_true * voxel_ml(true.spacing),
            in_found * voxel_ml(true.spacing),
            both * voxel_ml(true.spacing),
            dice=2 * both / total if total else float('nan'),
            **surface_figures(masks[0], masks[1], true.spacing[::-1], tolerance),
        )
    return figures


def targets_of(classes: Classes) -> list[str]:
    """What is compared: all lesions, each class of several, and the lung."""
    ill = [name for name in classes.lesion_names if name != classes.lung]
    return [
        LESIONS,
        *(ill if len(ill) > 1 else []),
        *([] if classes.lung is None else [classes.lung]),
    ]


def _measure_model(model: ModelLesions, cluster: np.ndarray, resamples: Resamples) -> Replicates:
    """Add the figures of a model, of scans of these patients, (n,) int; return the resamples."""
    weights, replicates = resamples.weights, {}
    for target in model.scans[0].targets:
        rows = [each.targets[target] for each in model.scans]
        replicates[target], model.defined[target] = _target_figures(rows, cluster, weights)
    detections = _detections(model)
    true, found = (
        np.array([getattr(each, key) for each in model.scans])
        for key in ('true_lesions', 'found_lesions')
    )
    of_lesions = detection_figures(detections, cluster, weights)
    if model.scored and true.sum():
        sensitivity = froc_sensitivity(detections, cluster, weights)
        of_lesions |= {rate_key(rate): sensitivity[:, k] for k, rate in enumerate(RATES)}
        of_lesions['froc_mean'] = sensitivity.mean(1)
        model.froc = FrocCurve(*(axis.tolist() for axis in froc_curve(detections)))
    of_lesions |= panoptic_figures(
        np.array([each.iou_sum for each in model.scans]),
        np.array([each.pairs for each in model.scans]),
        true,
        found,
        cluster,
        weights,
    )
    replicates[LESIONS] = of_lesions | replicates[LESIONS]
    behind_truth = effective_clusters(np.repeat(cluster, true))
    behind = dict.fromkeys(('sensitivity', *map(rate_key, RATES)), behind_truth)
    behind['ppv'] = effective_clusters(np.repeat(cluster, found))
    model.figures = {
        target: {
            key: _estimate(resamples, key, values, behind.get(key))
            for key, values in figures.items()
        }
        for target, figures in replicates.items()
    }
    return replicates


def _estimate(
    resamples: Resamples, key: str, values: np.ndarray, patients: float | None
) -> Estimate:
    """A figure with its interval, on the scale that fits it."""
    if key != 'ccc':
        return resamples.estimate(values, scale=_SCALES.get(key, 'logit'), patients=patients)
    # of a correlation from -1 to 1 this is Fisher's z
    half = resamples.estimate((1 + values) / 2)
    return Estimate(*(2 * each - 1 for each in (half.value, half.low, half.high)))


def _detections(model: ModelLesions) -> Detections:
    places = {each.scan: i for i, each in enumerate(model.scans)}
    return Detections(
        np.array([each.true_lesions for each in model.scans]),
        np.array([places[each.scan] for each in model.found], int),
        np.array([1.0 if each.score is None else each.score for each in model.found]),
        np.array([each.matched for each in model.found], bool),
    )


def _target_figures(
    rows: list[TargetFigures], cluster: np.ndarray, weights: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """Figures of a target in every resample, and how many scans define those of scans."""
    values = np.array([[getattr(row, key) for key in _OF_SCANS] for row in rows])
    figures = dict(zip(_OF_SCANS, weighted_means(values, cluster, weights).T))
    defined = dict(zip(_OF_SCANS, np.count_nonzero(~np.isnan(values), 0).tolist()))
    true, found, both = np.array([(row.true_ml, row.found_ml, row.both_ml) for row in rows]).T
    sums = weighted_sums(np.column_stack([2 * both, true + found]), cluster, weights)
    with np.errstate(invalid='ignore'):
        figures['dice_pooled'] = sums[:, 0] / sums[:, 1]
    return figures | agreement_figures(true, found, cluster, weights), defined


def _differences(first: Replicates, other: Replicates, resamples: Resamples) -> dict[str, Figures]:
    """Figures of a model minus those of the first one, of the same resamples."""
    return {
        target: {
            key: resamples.estimate(values - first[target][key], scale='linear')
            for key, values in figures.items()
            if key in first[target]
        }
        for target, figures in other.items()
    }


def _notes(models: Mapping[str, ModelLesions], patients: int, each_its_own: bool) -> list[str]:
    notes = []
    if each_its_own:
        notes.append('Each scan counts as a patient of its own, as no table of patients was given.')
    if patients < _FEW:
        notes.append(f'{patients} patients tell little: intervals are rough.')
    for name, model in models.items():
        if not model.scored:
            notes.append(f'{name} tells no scores of lesions, so that it has no FROC curve.')
        of_truth, of_model = (
            sum(getattr(each, key) for each in model.scans)
            for key in ('true_left_out', 'found_left_out')
        )
        if of_truth or of_model:
            notes.append(
                f'{of_truth} true lesions and {of_model} of {name} are too small to count.'
            )
        if unplaced := sum(each.unplaced for each in model.scans):
            notes.append(f'{unplaced} scores of {name} are of voxels in no lesion, and not used.')
        rows = [each.targets[LESIONS] for each in model.scans]
        missed = sum(row.true_ml > 0 and not row.found_ml for row in rows)
        false = sum(row.found_ml > 0 and not row.true_ml for row in rows)
        neither = sum(not row.true_ml and not row.found_ml for row in rows)
        for count, what in (
            (missed, 'have true lesions and none was found: Dice and surface Dice are 0'),
            (false, 'have none and some were found: Dice and surface Dice are 0'),
            (neither, 'have none and none was found: they have no Dice'),
        ):
            if count:
                notes.append(f'{name}: {count} of {len(rows)} scans {what}, no distances.')
    return notes
