"""Numbers of a scan: its class, its lesions, its volumes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mmcovid.classes import Classes
from mmcovid.ct import CTVolume, find_region, voxel_ml
from mmcovid.results import (
    ClassVolume,
    Lesions3D,
    MeasuredLesion,
    MeasuredRoIs,
    RoISequence,
    ScanClass,
    ScanFamiliarity,
    ScanSlice,
)
from mmcovid.scan_class import LEARNED, RULES, Slices, choose_rule, relative_heights
from mmcovid.statistics.class_scores import is_decided

from .lesions import measure_lesions
from .predict import Instance, Prediction, Slice
from .settings import Settings

SUSPICIOUS = 6
#: All lesion classes together, among the volumes.
LESIONS = 'lesions'


@dataclass(frozen=True)
class Measurements:
    """The numbers; see :class:`mmcovid.results.ScanResults`."""

    classification: ScanClass | None
    familiarity: ScanFamiliarity | None
    volumes: dict[str, ClassVolume] | None
    lesions_3d: Lesions3D | None
    suspicious_slices: list[int]
    slices: list[ScanSlice]
    notes: list[str]


def measure_scan(prediction: Prediction, classes: Classes, settings: Settings) -> Measurements:
    """All numbers of a scan, as documented in ``docs/en/scan.md``.

    Args:
        prediction (Prediction): Of its slices.
        classes (Classes): Of the lesions and the slices.
        settings (Settings): Rules.

    Raises:
        ValueError: No slice of the region could be read.
    """
    chosen, region, notes = _choose_region(prediction, settings.region)
    if prediction.failures:
        notes.append(
            f'{len(prediction.failures)} of {prediction.number} slices could not be '
            'read: the results are of the others only.'
        )
    read = [kept for kept in prediction.slices if kept.index in chosen]
    familiarity = _summarise_distances(read, prediction.distance_threshold)
    notes += _tell_unfamiliar(familiarity)
    classification = None
    weights: dict[int, float] = {}
    if prediction.slices[0].scores is not None:
        if not read:
            raise ValueError(f'no slice that shows the {region} could be read')
        withheld = settings.abstain_unfamiliar and not (familiarity and familiarity.familiar)
        rule = choose_rule(settings.aggregate, prediction.scan_rule)
        scores, weights = _read_class(read, rule, prediction, classes)
        rules, prediction_set = settings.decision_rules, None
        if rules is not None:
            prediction_set, scores = rules.prediction_set(scores), rules.correct(scores)
        classification = ScanClass(
            **_decide(scores, classes, settings.abstain_below, withheld),
            abstain_below=settings.abstain_below,
            aggregate=rule,
            region=region,
            num_slices=len(read),
            first_slice=read[0].index,
            last_slice=read[-1].index,
            prediction_set=prediction_set,
        )
    rows = [
        replace(
            _measure_slice(kept, kept.index in chosen, prediction, classes, settings),
            weight=weights.get(kept.index),
        )
        for kept in prediction.slices
    ]
    volumes = _measure_volumes(rows, classes, prediction.volume)
    notes += _tell_lesions_beside(rows, volumes, classes, settings.region)
    return Measurements(
        classification,
        familiarity,
        volumes,
        _join_slices(prediction, classes, settings.least_lesion_ml),
        _most_suspicious(rows, classification, classes),
        rows,
        notes,
    )


def _choose_region(prediction: Prediction, region: str) -> tuple[range, str, list[str]]:
    """Slices that the class is read from, their region, and a note if it is not as asked."""
    every = range(prediction.number)
    if prediction.volume is None or region == 'all':
        return every, 'all', []
    found = find_region(prediction.volume, region)
    if found:
        return found, region, []
    return (
        every,
        'all',
        [
            f'No slice shows the {region} by threshold, so that the class is that '
            'of all slices. Is this a chest CT in Hounsfield units?'
        ],
    )


def _read_class(
    slices: list[Slice], rule: str, prediction: Prediction, classes: Classes
) -> tuple[np.ndarray, dict[int, float]]:
    """Class scores of a scan (K,) from some of its slices, and their weights, if the rule weighs
    them, by index."""
    scores = np.stack([kept.scores for kept in slices if kept.scores is not None])
    if rule != LEARNED or prediction.scan_rule is None:
        return RULES[rule](scores, classes.normal_label), {}
    index = np.array([kept.index for kept in slices])
    vectors = [kept.vector for kept in slices if kept.vector is not None]
    told = Slices(relative_heights(index), scores, np.stack(vectors) if vectors else None)
    scores, weights = prediction.scan_rule(told)
    return scores, dict(zip(index.tolist(), weights.tolist()))


def _summarise_distances(slices: list[Slice], threshold: float | None) -> ScanFamiliarity | None:
    """How far a scan is from the training data, by the mean of some of its slices."""
    if threshold is None or not slices:
        return None
    distances = np.array([kept.feature_distance for kept in slices], np.float64)
    mean = float(distances.mean())
    return ScanFamiliarity(
        familiar=mean <= threshold,
        distance=mean,
        threshold=threshold,
        num_unfamiliar=int((~(distances <= threshold)).sum()),
        num_slices=len(slices),
    )


def _tell_unfamiliar(found: ScanFamiliarity | None) -> list[str]:
    """A note if a scan is unlike the training data."""
    if found is None or found.familiar:
        return []
    return [
        'This scan is unlike the training data of the model: do not rely on its class, lesions '
        'and volumes.'
    ]


def _decide(
    scores: np.ndarray, classes: Classes, abstain_below: float | None, withheld: bool
) -> dict[str, Any]:
    """The fields that a scan and a slice have in common: ``class_`` to ``scores``."""
    decided = not withheld and bool(is_decided(scores, abstain_below))
    leading = int(scores.argmax())
    name = classes.image_names[leading]
    return dict(
        class_=name if decided else 'undecided',
        decided=decided,
        leading_class=name,
        score=float(scores[leading]),
        scores=dict(zip(classes.image_names, scores.tolist())),
    )


def _measure_slice(
    kept: Slice, in_region: bool, prediction: Prediction, classes: Classes, settings: Settings
) -> ScanSlice:
    """Everything about a slice."""
    volume, threshold = prediction.volume, prediction.distance_threshold
    pixel = None if volume is None else volume.spacing[0] * volume.spacing[1]  # mm²
    told: dict[str, Any] = {}
    if kept.feature_distance is not None and threshold is not None:
        told.update(
            feature_distance=kept.feature_distance, familiar=kept.feature_distance <= threshold
        )
    if kept.scores is not None:
        withheld = settings.abstain_unfamiliar and not told.get('familiar')
        told.update(_decide(kept.scores, classes, settings.abstain_below, withheld))
    if kept.labels is not None:
        pixels = _count_pixels(kept.labels, classes)
        told.update(
            pixels=pixels,
            area_mm2={name: pixel and count * pixel for name, count in pixels.items()},
            lesions=[
                _measure_lesion(instance, pixel, classes)
                for instance in kept.instances
                if not classes.is_lung(instance.label)
            ],
        )
    if kept.rois is not None:
        told.update(roi_sequence=_round_rois(kept.rois))
    return ScanSlice(
        kept.index,
        kept.path,
        None if volume is None else _z_of(volume, kept.index),
        in_region,
        **told,
    )


def _z_of(volume: CTVolume, index: int) -> float:
    """Position of a slice in the patient, in mm."""
    grid = volume.grid
    return float((grid.origin + grid.direction[:, 2] * grid.spacing[2] * index)[2])


def _count_pixels(labels: np.ndarray, classes: Classes) -> dict[str, int]:
    """Pixels of each class in a label map, lesions as parts of the lung."""
    names = classes.lesion_names
    counts = np.bincount(labels.ravel(), minlength=len(names) + 1)[1:]
    if classes.lung is not None:
        counts[names.index(classes.lung)] = counts.sum()
    return dict(zip(names, counts.tolist()))


def _measure_lesion(instance: Instance, pixel: float | None, classes: Classes) -> MeasuredLesion:
    return MeasuredLesion(
        classes.lesion_names[instance.label],
        instance.score,
        instance.bbox,
        instance.pixels,
        pixel and instance.pixels * pixel,
    )


def _round_rois(rois: RoISequence) -> MeasuredRoIs:
    """As plain numbers, of six decimals."""
    bboxes, scores, attention = (
        np.round(np.asarray(values, np.float64), 6).tolist()
        for values in (rois.bboxes, rois.scores, rois.attention)
    )
    return MeasuredRoIs(bboxes, np.asarray(rois.labels).tolist(), scores, attention)


def _measure_volumes(
    rows: Sequence[ScanSlice], classes: Classes, volume: CTVolume | None
) -> dict[str, ClassVolume] | None:
    """How much there is of each class, and of all lesions; None if nothing is segmented."""
    if rows[0].pixels is None:
        return None
    pixels = [row.pixels for row in rows if row.pixels is not None]
    voxels = {name: sum(each[name] for each in pixels) for name in classes.lesion_names}
    lung = None if classes.lung is None else voxels.get(classes.lung)
    if lung is not None:
        voxels[LESIONS] = sum(count for name, count in voxels.items() if name != classes.lung)
    ml = None if volume is None else voxel_ml(volume.spacing)
    return {
        name: ClassVolume(count, None if ml is None else count * ml, count / lung if lung else None)
        for name, count in voxels.items()
    }


def _join_slices(prediction: Prediction, classes: Classes, least_ml: float) -> Lesions3D | None:
    """The 3-D lesions of a volume; None of pictures, or if nothing is segmented."""
    volume = prediction.volume
    if volume is None or prediction.slices[0].labels is None:
        return None
    _, height, width = volume.array.shape
    scores = (
        ((kept.index * height + row) * width + column, instance.score)
        for kept in prediction.slices
        for instance in kept.instances
        for row, column in instance.points
    )
    return measure_lesions(prediction.label_map(), scores, volume.spacing, classes, least_ml)


def _tell_lesions_beside(
    rows: Sequence[ScanSlice], volumes: dict[str, ClassVolume] | None, classes: Classes, region: str
) -> list[str]:
    """A note if there are lesions on slices that the class is not read from."""
    beside = sum(_lesion_pixels(row, classes) for row in rows if not row.in_region)
    if not beside or volumes is None:
        return []
    share = beside / sum(
        volumes[name].voxels for name in classes.lesion_names if name != classes.lung
    )
    return [
        f'{share:.0%} of the lesion volume is on slices that do not show the {region} by '
        'threshold. It is in the numbers: look at these slices.'
    ]


def _lesion_pixels(row: ScanSlice, classes: Classes) -> int:
    """Of all lesion classes but the lung."""
    return sum(count for name, count in (row.pixels or {}).items() if name != classes.lung)


def _most_suspicious(
    rows: Sequence[ScanSlice], classification: ScanClass | None, classes: Classes
) -> list[int]:
    """Indices of the slices that speak most for the leading class, in the order of the scan.

    Of a normal scan, those that speak most against it; by the learned rule, those of most weight;
    without classes, those with the most lesion. In long scans they are no neighbours.
    """
    rows = [row for row in rows if row.in_region]

    def suspicion(row: ScanSlice) -> tuple:
        lesions = _lesion_pixels(row, classes)
        if row.weight is not None:
            return (row.weight,)
        if classification is None or row.scores is None:
            return (lesions,)
        leading = classification.leading_class
        score = row.scores[leading]
        return 1 - score if leading == classes.normal else score, lesions

    apart = len(rows) // (3 * SUSPICIOUS)
    chosen: list[int] = []
    for row in sorted(rows, key=suspicion, reverse=True):
        if all(abs(row.index - other) > apart for other in chosen):
            chosen.append(row.index)
    return sorted(chosen[:SUSPICIOUS])
