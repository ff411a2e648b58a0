"""Statistics of the training data, by which a model knows what is unlike them.

See ``docs/en/familiarity.md``.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from rich.progress import track
from torch import Tensor

from mmcovid.datasets.of_config import slices_of_role
from mmcovid.statistics.mahalanobis import distance_threshold, fit_gaussian, mahalanobis_distance
from mmcovid.utils.spread import spread

from .one_shot_inferencer import OneShotInferencer
from .run_inputs import RunInputs

#: Most slices of a split that are looked at, taken evenly from all.
MOST_SLICES = 2000
#: Share of the validation slices that may be above the threshold.
FALSE_ALARM_RATE = 0.05
_BATCH_SIZE = 4


class FittedFamiliarity(NamedTuple):
    """Statistics of the training data, and what they were fitted to."""

    statistics: dict[str, Tensor]  #: by their names in the state dict of the model
    threshold: float
    num_train: int  #: training slices
    num_val: int  #: validation slices, which the threshold was chosen on
    num_above: int  #: those above it


def fit_familiarity(
    checkpoint: str | Path, config: Config, device: str | None = None, show_progress: bool = True
) -> FittedFamiliarity:
    """Fit a Gaussian to the features of the training slices of a checkpoint.

    Args:
        checkpoint (str | Path): The weights.
        config (Config): Of their training; its ``train_dataloader`` and ``val_dataloader`` find
            their data.
        device (str, optional): Defaults to None: CUDA if there is one.
        show_progress (bool): Show a progress bar. Defaults to True.

    Raises:
        FileNotFoundError: Data are missing.
        ValueError: The model is of another kind, or slices cannot be read.
    """
    inferencer = OneShotInferencer(config, str(checkpoint), device=device, show_progress=False)
    if not hasattr(inferencer.model, 'feature_distance'):
        raise ValueError(
            f'{checkpoint}: models of type {type(inferencer.model).__name__} keep no statistics of '
            'their training data. Publish it without --familiarity.'
        )
    train, val = (_take_evenly(slices_of_role(inferencer.cfg, role)) for role in ('train', 'val'))
    mean, whitening = fit_gaussian(
        pool_features(inferencer, train, 'training slices', show_progress)
    )
    known = pool_features(inferencer, val, 'validation slices', show_progress)
    distances = mahalanobis_distance(known, mean, whitening)
    threshold = distance_threshold(distances, FALSE_ALARM_RATE)
    found = dict(mean=mean, whitening=whitening, threshold=threshold)
    return FittedFamiliarity(
        {f'feature_distance.{k}': torch.tensor(v, dtype=torch.float) for k, v in found.items()},
        threshold,
        len(train),
        len(val),
        int((distances > threshold).sum()),
    )


def _take_evenly(slices: Sequence[dict]) -> list[str]:
    """Paths of no more than :data:`MOST_SLICES`."""
    return [slices[i]['img_path'] for i in spread(len(slices), MOST_SLICES)]


def pool_features(
    inferencer: OneShotInferencer,
    slices: Sequence[str | np.ndarray],
    what: str,
    show_progress: bool = True,
) -> np.ndarray:
    """Pooled features of slices, as the model takes its distance by.

    Args:
        inferencer (OneShotInferencer): Of a model that has ``feature_distance``.
        slices (Sequence[str | np.ndarray]): Paths, or grey values (H, W).
        what (str): What they are, for messages.
        show_progress (bool): Show a progress bar. Defaults to True.

    Returns:
        np.ndarray: (n, C).

    Raises:
        ValueError: A slice cannot be read.
    """
    model, run = inferencer.model, RunInputs(slices, map(str, range(len(slices))))
    batches = inferencer.preprocess(run, _BATCH_SIZE)
    pooled = []
    with torch.no_grad():
        for _, data in track(batches, what, disable=not show_progress):
            inputs = model.data_preprocessor(data, False)['inputs']
            pooled.append(model.feature_distance.pool(model.extract_feat(inputs)).double().cpu())
    if run.failures:
        first = next(iter(run.failures.values()))
        raise ValueError(
            f'{len(run.failures)} of {len(slices)} {what} cannot be read, such as '
            f'{first.input}: {first.reason}. Find them by mmcovid verify.'
        )
    return torch.cat(pooled).numpy()
