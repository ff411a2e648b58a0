"""Class scores: of many slices together, calibrated, high enough or not."""

import json
import warnings
from pathlib import Path

import numpy as np


def mean_over_classes(values: np.ndarray, support: np.ndarray | None = None) -> np.ndarray:
    """Mean of a figure over the classes that a set has, as scikit-learn's over its true labels.

    A class that the set lacks has no say: a false prediction of it counts against the class that
    the case is of. A resample that loses a class of the set has no mean.

    Args:
        values (np.ndarray): The figure by class, in the set itself (row 0) and in R resamples of
            it, (R + 1, K); nan where it is not defined.
        support (np.ndarray, optional): Number of true cases by class, (R + 1, K). Defaults to
            None: figures of a class without any are nan already.

    Returns:
        np.ndarray: (R + 1,); nan where a class of the set has no figure.
    """
    if support is not None:
        values = np.where(support > 0, values, np.nan)
    defined = ~np.isnan(values[0])
    return values[:, defined].mean(1) if defined.any() else np.full(len(values), np.nan)


def is_decided(scores: np.ndarray, abstain_below: float | None) -> np.ndarray:
    """Whether the highest score of a case is high enough to decide for its class.

    Args:
        scores (np.ndarray): Class scores, (..., K).
        abstain_below (float, optional): Least score that decides; None decides always.

    Returns:
        np.ndarray: (...), bool.
    """
    confidence = np.asarray(scores).max(-1)
    return np.ones_like(confidence, bool) if abstain_below is None else confidence >= abstain_below


def check_abstain_below(abstain_below: float | None) -> None:
    """Make sure that a threshold is one.

    Raises:
        ValueError: It is not above 0 and at most 1.
    """
    if abstain_below is not None and not 0 < abstain_below <= 1:
        raise ValueError(f'abstain below {abstain_below}: give a score above 0 and at most 1')


def read_temperature(value: str | Path | float) -> float:
    """A temperature, given as a number or as the ``temperature.json`` of an evaluation report.

    Args:
        value (str | Path | float): Number, or file of ``mmcovid report`` that
            holds one temperature only.

    Returns:
        float: The temperature, above 0.

    Raises:
        ValueError: It is neither, or the file holds several, which the message lists.
    """
    if isinstance(value, Path):
        temperature = _only_temperature(value)
    else:
        try:
            temperature = float(value)
        except (TypeError, ValueError):
            temperature = _only_temperature(Path(str(value)))
    if not 0 < temperature < float('inf'):
        raise ValueError(f'temperature {value}: give a number above 0')
    return temperature


def _only_temperature(path: Path) -> float:
    if not path.is_file():
        raise ValueError(f'temperature {path}: neither a number nor a file')
    try:
        models = json.loads(path.read_text(encoding='utf-8'))
        found = [
            (name, float(run['temperature']), run.get('note'))
            for name, runs in models.items()
            for run in runs
        ]
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            f'{path}: is no temperature.json of mmcovid report '
            '--calibrate-on. Make one, or give the temperature as a number'
        ) from error
    if len(found) != 1:
        listed = ', '.join(f'{name} {temperature:.4g}' for name, temperature, _ in found)
        raise ValueError(
            f'{path}: holds {len(found)} temperatures ({listed}). Give the one of '
            'your weights as a number'
        )
    ((_, temperature, note),) = found
    if note:
        warnings.warn(f'{path}: {note}', stacklevel=3)
    return temperature
