"""The worst errors, as pictures."""
from pathlib import Path

import cv2
import numpy as np

from mmcovid.reporting import picture_uri
from mmcovid.visualization.drawing import to_rgb8

from .classification import Cases

THUMBNAIL = 240  # pixels


def worst_errors(cases: Cases, number: int) -> np.ndarray:
    """The wrong slices of which the model was surest, at first one of each patient.

    Args:
        cases (Cases): n slices.
        number (int): How many at most.

    Returns:
        np.ndarray: Their positions, the worst first.
    """
    every = np.arange(len(cases))
    excess = cases.scores[every, cases.pred] - cases.scores[every, cases.truth]
    wrong = np.flatnonzero(cases.pred != cases.truth)
    wrong = wrong[np.argsort(-excess[wrong], kind='stable')]
    _, first = np.unique(cases.cluster[wrong], return_index=True)
    is_first = np.zeros(len(wrong), bool)
    is_first[first] = True
    chosen = np.concatenate([wrong[is_first], wrong[~is_first]])[:number]
    return chosen[np.argsort(-excess[chosen], kind='stable')]


def thumbnail(path: str | Path) -> str | None:
    """A small picture of a slice as a data URI, or None if the file cannot be read."""
    data = np.fromfile(path, np.uint8) if Path(path).is_file() else np.zeros(0, np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    if image is None:
        return None
    image = to_rgb8(image)
    scale = THUMBNAIL / max(image.shape[:2])
    image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return picture_uri(image)


def gallery(cases: Cases, paths: dict[str, str], number: int, image_root: str = '') -> list[dict]:
    """The worst errors of a model.

    Args:
        cases (Cases): Slices.
        paths (dict[str, str]): Image of each slice, by id.
        number (int): How many errors at most.
        image_root (str): Folder that relative paths are below. Defaults to the working folder.

    Returns:
        list[dict]: ``id``, ``truth`` and ``pred`` (labels), ``score`` and ``true_score`` of
        these, and ``image`` (data URI, or None if it cannot be read).
    """
    return [
        dict(id=str(cases.ids[i]), truth=int(cases.truth[i]), pred=int(cases.pred[i]),
             score=float(cases.scores[i, cases.pred[i]]),
             true_score=float(cases.scores[i, cases.truth[i]]),
             image=thumbnail(Path(image_root, paths[cases.ids[i]])))
        for i in worst_errors(cases, number)]
