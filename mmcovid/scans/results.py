"""Numbers of a scan: its class, its lesions, its volumes."""
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmcovid.ct import CTVolume, find_region
from mmcovid.statistics.class_scores import AGGREGATES, is_decided

from .predict import Prediction, Slice

SCHEMA_VERSION = 1
REGIONS = ('lung', 'body', 'all')
#: The lesion class that the others lie in.
LUNG = 'lung'
SUSPICIOUS = 6


@dataclass(frozen=True)
class Settings:
    """How scans are predicted and summed up."""

    score_thr: float = 0.3  #: least score of a lesion
    aggregate: str = 'mean'  #: one of :data:`AGGREGATES`
    region: str = 'lung'  #: slices that the class is read from, one of :data:`REGIONS`
    abstain_below: float | None = None  #: least score of a scan's class
    batch_size: int = 4
    dicom_seg: bool = False  #: also write DICOM segmentations
    overwrite: bool = False


def compute_results(prediction: Prediction, classes: Sequence[str], image_classes: Sequence[str],
                    settings: Settings) -> dict:
    """All numbers of a scan, as documented in ``docs/en/scan.md``.

    Args:
        prediction (Prediction): Of its slices.
        classes (Sequence[str]): Lesion classes.
        image_classes (Sequence[str]): Image classes.
        settings (Settings): Rules.

    Returns:
        dict: ``classification``, ``volumes``, ``suspicious_slices``, ``slices``, ``notes``.
    """
    slices, notes = prediction.slices, []
    chosen, region = _in_region(prediction, settings.region, notes)
    if prediction.errors:
        notes.append(f'{len(prediction.errors)} of {prediction.number} slices could not be read: '
                     'the results are of the others only.')
    classification = None
    if slices[0].scores is not None:
        read = [each for each in slices if each.index in chosen]
        if not read:
            raise ValueError(f'no slice that shows the {region} could be read')
        classification = _classify(read, region, image_classes, settings)
    rows = [_slice_row(each, chosen, prediction.volume, classes, image_classes, settings)
            for each in slices]
    beside = sum(n for row in rows if not row['in_region']
                 for name, n in row.get('pixels', {}).items() if name != LUNG)
    volumes = _volumes(rows, classes, prediction.volume)
    if beside:
        share = beside / sum(n['voxels'] for name, n in volumes.items()
                             if name not in (LUNG, 'lesions'))
        notes.append(f'{share:.0%} of the lesion volume is on slices that do not show the '
                     f'{settings.region} by threshold. It is in the numbers: look at these slices.')
    return dict(
        classification=classification, volumes=volumes,
        suspicious_slices=_most_suspicious(rows, classification, image_classes),
        slices=rows, notes=notes)


def _in_region(prediction: Prediction, region: str, notes: list[str]) -> tuple[range, str]:
    """Slices that the class is read from, and their region; a note tells if it is not as asked."""
    every = range(prediction.number)
    if prediction.volume is None or region == 'all':
        return every, 'all'
    found = find_region(prediction.volume, region)
    if not found:
        notes.append(f'No slice shows the {region} by threshold, so that the class is that of all '
                     'slices. Is this a chest CT in Hounsfield units?')
    return (found, region) if found else (every, 'all')


def _classify(slices: list[Slice], region: str, image_classes: Sequence[str],
              settings: Settings) -> dict:
    scores = AGGREGATES[settings.aggregate](np.array([each.scores for each in slices]))
    return {**_class_of(scores, image_classes, settings.abstain_below),
            'abstain_below': settings.abstain_below, 'aggregate': settings.aggregate,
            'region': region, 'num_slices': len(slices), 'first_slice': slices[0].index,
            'last_slice': slices[-1].index}


def _class_of(scores: np.ndarray, image_classes: Sequence[str],
              abstain_below: float | None) -> dict:
    """The decided class, ``undecided`` below the threshold, and the leading one."""
    decided, label = bool(is_decided(scores, abstain_below)), int(scores.argmax())
    return {'class': image_classes[label] if decided else 'undecided', 'decided': decided,
            'leading_class': image_classes[label], 'score': float(scores[label]),
            'scores': dict(zip(image_classes, scores.tolist()))}


def _slice_row(each: Slice, chosen: range, volume: CTVolume | None, classes: Sequence[str],
               image_classes: Sequence[str], settings: Settings) -> dict:
    """Everything about a slice."""
    row = dict(index=each.index, path=each.path, z_mm=None, in_region=each.index in chosen)
    pixel = None
    if volume is not None:
        pixel = volume.spacing[0] * volume.spacing[1]
        row['z_mm'] = float((volume.grid.origin + volume.grid.direction[:, 2]
                             * volume.grid.spacing[2] * each.index)[2])
    if each.scores is not None:
        row.update(_class_of(each.scores, image_classes, settings.abstain_below))
    if each.labels is not None:
        counts = np.bincount(each.labels.ravel(), minlength=len(classes) + 1)[1:]
        if LUNG in classes:  # lesions are parts of the lung
            counts[classes.index(LUNG)] = counts.sum()
        row['pixels'] = dict(zip(classes, counts.tolist()))
        row['area_mm2'] = {name: pixel and int(count) * pixel
                           for name, count in zip(classes, counts)}
        row['lesions'] = [
            {'class': classes[found['label']], 'score': found['score'], 'bbox': found['bbox'],
             'pixels': found['pixels'], 'area_mm2': pixel and found['pixels'] * pixel}
            for found in each.instances if classes[found['label']] != LUNG]
    if each.rois is not None:
        row['roi_sequence'] = {
            key: np.round(np.asarray(value, np.float64), 6).tolist()
            if np.issubdtype(np.asarray(value).dtype, np.floating) else np.asarray(value).tolist()
            for key, value in each.rois.items()}
    return row


def _volumes(rows: list[dict], classes: Sequence[str], volume: CTVolume | None) -> dict | None:
    """Voxels, ml and share of the lung, of each class."""
    if 'pixels' not in rows[0]:
        return None
    voxels = {name: sum(row['pixels'][name] for row in rows) for name in classes}
    lung = voxels.get(LUNG)
    if lung is not None:
        voxels['lesions'] = sum(count for name, count in voxels.items() if name != LUNG)
    ml = None if volume is None else float(np.prod(volume.spacing)) / 1000
    return {name: dict(voxels=count, ml=None if ml is None else count * ml,
                       share_of_lung=count / lung if lung else None)
            for name, count in voxels.items()}


def _most_suspicious(rows: list[dict], classification: dict | None,
                     image_classes: Sequence[str]) -> list[int]:
    """Indices of the slices that speak most for the leading class, in the order of the scan.

    Of a normal scan, those that speak most against it; without classes, those with the most
    lesion. In long scans they are no neighbours.
    """
    rows = [row for row in rows if row['in_region']]

    def suspicion(row: dict) -> tuple:
        lesions = sum(n for name, n in row.get('pixels', {}).items() if name != LUNG)
        if classification is None:
            return (lesions,)
        leading = classification['leading_class']
        score = row['scores'][leading]
        return 1 - score if leading == 'normal' else score, lesions

    apart, chosen = len(rows) // (3 * SUSPICIOUS), []
    for row in sorted(rows, key=suspicion, reverse=True):
        if all(abs(row['index'] - other) > apart for other in chosen):
            chosen.append(row['index'])
    return sorted(chosen[:SUSPICIOUS])
