"""The worst errors: which slices a model was surest of and wrong, and which it segmented worst."""

from collections.abc import Sequence

import numpy as np

from mmcovid.classes import Classes
from mmcovid.results.evaluation import ClassError, LesionError
from mmcovid.statistics.classification import Cases
from mmcovid.statistics.clusters import cluster_names
from mmcovid.statistics.lesions import overlaps


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


def surest_errors(cases: Cases, paths: dict[str, str], number: int) -> list[ClassError]:
    """The wrong slices of which a model was surest.

    Args:
        cases (Cases): Slices.
        paths (dict[str, str]): Image of each slice, by id.
        number (int): How many errors at most.

    Returns:
        list[ClassError]: The surest one first.
    """
    every = np.arange(len(cases))
    score, true_score = cases.scores[every, cases.pred], cases.scores[every, cases.truth]
    chosen = worst(score - true_score, cases.pred != cases.truth, cases.cluster, number)
    return [
        ClassError(
            id=str(cases.ids[i]),
            path=paths[cases.ids[i]],
            truth=int(cases.truth[i]),
            pred=int(cases.pred[i]),
            score=float(score[i]),
            true_score=float(true_score[i]),
        )
        for i in chosen
    ]


def worst_segmented(
    lesions: Sequence[dict], classes: Classes, score_thr: float, number: int
) -> list[LesionError]:
    """The slices whose lesions were segmented worst, by the mean Dice of the classes there.

    Args:
        lesions (Sequence[dict]): n dumped slices with true lesions.
        classes (Classes): Of the model.
        score_thr (float): Least score of a predicted instance.
        number (int): How many slices at most.

    Returns:
        list[LesionError]: The worst one first.
    """
    names = classes.lesion_names
    lesions = sorted(lesions, key=lambda entry: str(entry['img_id']))
    both, found, true = np.moveaxis(overlaps(lesions, len(names), score_thr), 2, 0)
    present = found + true > 0
    dice = np.divide(2 * both, found + true, out=np.zeros_like(both), where=present)
    missed = np.where(present, 1 - dice, 0).sum(1) / np.maximum(present.sum(1), 1)
    return [
        LesionError(
            id=str(lesions[i]['img_id']),
            path=lesions[i].get('img_path') or '',
            dice={name: float(dice[i, k]) for k, name in enumerate(names) if present[i, k]},
        )
        for i in worst(missed, missed > 0, cluster_names(lesions)[0], number)
    ]
