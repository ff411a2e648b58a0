"""The worst errors, as pictures."""
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pycocotools.mask as mask_utils

from mmcovid.classes import Classes
from mmcovid.ct import read_slice
from mmcovid.drawing.slices import draw_masks, to_rgb8
from mmcovid.reporting import picture_uri
from mmcovid.statistics.classification import Cases
from mmcovid.statistics.clusters import cluster_names
from mmcovid.statistics.lesions import overlaps

SIDE = 240  # of a slice, in pixels
_GAP = 4


def worst(badness: np.ndarray, wrong: np.ndarray, cluster: np.ndarray, number: int) -> np.ndarray:
    """The worst slices, at first one of each patient.

    Args:
        badness (np.ndarray): Of n slices, (n,).
        wrong (np.ndarray): Which of them are errors at all, (n,), bool.
        cluster (np.ndarray): Patient of each slice, (n,).
        number (int): How many at most.

    Returns:
        np.ndarray: Their positions, the worst first.
    """
    errors = np.flatnonzero(wrong)
    errors = errors[np.argsort(-badness[errors], kind='stable')]
    _, first = np.unique(cluster[errors], return_index=True)
    is_first = np.zeros(len(errors), bool)
    is_first[first] = True
    chosen = np.concatenate([errors[is_first], errors[~is_first]])[:number]
    return chosen[np.argsort(-badness[chosen], kind='stable')]


def read_thumbnail(path: str | Path) -> np.ndarray | None:
    """A picture or CT slice with a longer side of 240 pixels, (h, w, 3) RGB uint8.

    None stands for a file that cannot be read.
    """
    try:
        image = to_rgb8(read_slice(path))
    except Exception:  # whatever a decoder raises: one bad file must not cost the report
        return None
    scale = SIDE / max(image.shape[:2])
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def classification_gallery(cases: Cases, paths: dict[str, str], number: int,
                           image_root: str = '') -> list[dict]:
    """The wrong slices of which a model was surest.

    Args:
        cases (Cases): Slices.
        paths (dict[str, str]): Image of each slice, by id.
        number (int): How many errors at most.
        image_root (str): Folder that relative paths are below. Defaults to the working folder.

    Returns:
        list[dict]: ``id``, ``truth`` and ``pred`` (labels), ``score`` and ``true_score`` of
        these, and ``image`` (data URI, or None if it cannot be read).
    """
    every = np.arange(len(cases))
    excess = cases.scores[every, cases.pred] - cases.scores[every, cases.truth]
    entries = []
    for i in worst(excess, cases.pred != cases.truth, cases.cluster, number):
        image = read_thumbnail(Path(image_root, paths[cases.ids[i]]))
        entries.append(dict(
            id=str(cases.ids[i]), truth=int(cases.truth[i]), pred=int(cases.pred[i]),
            score=float(cases.scores[i, cases.pred[i]]),
            true_score=float(cases.scores[i, cases.truth[i]]),
            image=None if image is None else picture_uri(image)))
    return entries


def lesion_gallery(lesions: Sequence[dict], classes: Sequence[str], score_thr: float, number: int,
                   image_root: str = '') -> list[dict]:
    """The slices whose lesions were segmented worst, by the mean Dice of the classes there.

    Args:
        lesions (Sequence[dict]): n dumped slices with true lesions.
        classes (Sequence[str]): Names of the lesion classes.
        score_thr (float): Least score of a predicted instance.
        number (int): How many slices at most.
        image_root (str): Folder that relative paths are below. Defaults to the working folder.

    Returns:
        list[dict]: ``id``, ``path``, ``dice`` (by class, of those in truth or prediction), and
        ``image``, the slice with its true beside that with its predicted lesions (data URI, or
        None if it cannot be read).
    """
    lesions = sorted(lesions, key=lambda entry: str(entry['img_id']))
    both, found, true = np.moveaxis(overlaps(lesions, len(classes), score_thr), 2, 0)
    present = found + true > 0
    dice = np.divide(2 * both, found + true, out=np.zeros_like(both), where=present)
    missed = np.where(present, 1 - dice, 0).sum(1) / np.maximum(present.sum(1), 1)
    entries = []
    for i in worst(missed, missed > 0, cluster_names(lesions)[0], number):
        path = lesions[i].get('img_path') or ''
        image = read_thumbnail(Path(image_root, path))
        entries.append(dict(
            id=str(lesions[i]['img_id']), path=path,
            dice={name: float(dice[i, k]) for k, name in enumerate(classes) if present[i, k]},
            image=None if image is None else picture_uri(_truth_beside_prediction(
                image, lesions[i], score_thr))))
    return entries


def _truth_beside_prediction(image: np.ndarray, entry: dict, score_thr: float) -> np.ndarray:
    """A slice twice, with true and with predicted lesions, (h, 2 w + 4, 3)."""
    pred = entry['pred_instances']
    shown = [(item['bbox_label'], item['mask']) for item in entry['instances']], [
        (int(label), mask) for label, score, mask in
        zip(pred['labels'], pred['scores'], pred['masks']) if score >= score_thr]
    panels = []
    for instances in shown:
        panel = image.copy()
        for label, mask in sorted(instances, key=lambda each: each[0]):
            mask = cv2.resize(mask_utils.decode(mask) * 255, image.shape[1::-1]) > 127
            palette = Classes.of().palette
            draw_masks(panel, mask[None], palette[label % len(palette)], 0.35 * (label > 0), 1)
        panels.append(panel)
    gap = np.full((len(image), _GAP, 3), 255, np.uint8)
    return np.hstack([panels[0], gap, panels[1]])
