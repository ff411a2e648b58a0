"""Fit the learned rule to scans, by PyTorch."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, one_hot

from mmcovid.statistics.calibration import fit_temperature

from .learned import FEATURES, SHAPES, LearnedRule, attend, slice_features
from .load import SPLITS, LabelledScan, ScanSet

#: Sizes of an embedding and of the attention.
EMBEDDING, ATTENTION = 16, 8
#: What is tried; the one of the least negative log-likelihood of the validation scans is taken.
WEIGHT_DECAYS, STARTS = (0.1, 1.0, 5.0), 2
_LEARNING_RATE, _MOST_EPOCHS, _PATIENCE = 0.02, 400, 40
#: Share of the slices of a scan that an epoch leaves out, so that no rule rests on single slices.
_LEFT_OUT = 0.3


class Bags(NamedTuple):
    """S scans, filled up to the slices of the longest."""

    features: Tensor  #: (S, n, F)
    there: Tensor  #: (S, n), bool: which slices there are
    labels: Tensor  #: (S,)

    @classmethod
    def of(cls, scans: Sequence[LabelledScan], features: str) -> 'Bags':
        """Scans, as a rule with these features sees them."""
        seen = [torch.from_numpy(slice_features(scan.slices, features)) for scan in scans]
        return cls(
            torch.nn.utils.rnn.pad_sequence(seen, batch_first=True),
            torch.nn.utils.rnn.pad_sequence(
                [torch.ones(len(each), dtype=torch.bool) for each in seen], batch_first=True
            ),
            torch.tensor([scan.label for scan in scans]),
        )


class Fit(NamedTuple):
    """Weights at the epoch of the least loss on the validation scans."""

    loss: float
    weights: dict[str, np.ndarray]
    epoch: int
    weight_decay: float


def fit_rule(scans: ScanSet, features: Sequence[str] = FEATURES, seed: int = 0) -> LearnedRule:
    """Fit the rule to the training scans; stop, choose and calibrate it by the validation scans.

    Args:
        scans (ScanSet): With scans of all classes in both splits.
        features (Sequence[str]): Those to try, of :data:`~mmcovid.scan_class.FEATURES`. Defaults
            to all.
        seed (int): Of initial weights and of the slices left out. Defaults to 0.
    """
    fits: dict[str, Fit] = {}
    for name in features:
        train, val = (Bags.of(scans.of(split), name) for split in ('train', 'val'))
        candidates = (
            _train(train, val, len(scans.classes), decay, (seed, start))
            for decay, start in product(WEIGHT_DECAYS, range(STARTS))
        )
        fits[name] = min(candidates, key=lambda fit: fit.loss)
    seen, best = min(fits.items(), key=lambda item: item[1].loss)
    rule = LearnedRule(
        features=seen,
        classes=scans.classes,
        region=scans.region,
        slice_temperature=scans.temperature,
        temperature=1.0,
        weights=best.weights,
    )
    held_out = scans.of('val')
    logits = np.stack([rule.logits(scan.slices)[0] for scan in held_out])
    calibrated = fit_temperature(logits, np.array([scan.label for scan in held_out]))
    return replace(
        rule,
        temperature=calibrated.temperature,
        fitted=dict(
            model=scans.model,
            seed=seed,
            scans={split: len(scans.of(split)) for split in SPLITS},
            patients={split: len({scan.patient for scan in scans.of(split)}) for split in SPLITS},
            losses={name: fit.loss for name, fit in fits.items()},
            weight_decay=best.weight_decay,
            epoch=best.epoch,
            nll_before=calibrated.nll_before,
            nll_after=calibrated.nll_after,
            temperature_note=calibrated.note,
        ),
    )


def _train(
    train: Bags, val: Bags, num_classes: int, weight_decay: float, seed: tuple[int, int]
) -> Fit:
    """Train from one start, until the loss on the validation scans falls no more."""
    generator = torch.Generator().manual_seed(
        int(np.random.SeedSequence(seed).generate_state(1)[0])
    )
    weights = _start(train, num_classes, generator)
    fixed = ('mean', 'scale')
    optimizer = torch.optim.AdamW(
        [weights[name].requires_grad_() for name in SHAPES if name not in fixed],
        lr=_LEARNING_RATE,
        weight_decay=weight_decay,
    )
    best = Fit(float('inf'), {}, 0, weight_decay)
    for epoch in range(_MOST_EPOCHS):
        if epoch - best.epoch > _PATIENCE:
            break
        left = torch.rand(train.there.shape, generator=generator) >= _LEFT_OUT
        left |= ~(train.there & left).any(1, keepdim=True)  # one slice at least
        optimizer.zero_grad()
        _loss(train._replace(there=train.there & left), weights).backward()
        optimizer.step()
        with torch.no_grad():
            loss = float(_loss(val, weights))
        if loss < best.loss:
            best = Fit(loss, _rounded(weights), epoch, weight_decay)
    return best


def _start(train: Bags, num_classes: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Standardisation by the training slices, and random weights."""
    seen = train.features[train.there]
    sizes = dict(F=seen.shape[1], E=EMBEDDING, A=ATTENTION, K=num_classes)
    weights = {}
    for name, letters in SHAPES.items():
        shape = [sizes[letter] for letter in letters]
        spread = 0.0 if name.endswith('bias') else shape[-1] ** -0.5
        weights[name] = spread * torch.randn(shape, generator=generator, dtype=torch.float64)
    scale = seen.std(0, correction=0)
    # what is the same in all slices tells nothing
    return weights | dict(mean=seen.mean(0), scale=torch.where(scale > 1e-6, scale, 1.0))


def pooled_logits(bags: Bags, weights: Mapping[str, Tensor]) -> Tensor:
    """Logits of scans, (S, K), before the temperature."""
    embedded, attention = attend(bags.features, weights, torch)
    shares = attention.masked_fill(~bags.there, -torch.inf).softmax(1)
    pooled = (shares[:, None] @ embedded).squeeze(1)
    return pooled @ weights['classify'].T + weights['classify_bias']


def _loss(bags: Bags, weights: Mapping[str, Tensor]) -> Tensor:
    """Binary cross-entropy with the one-hot class, as image heads are trained by."""
    logits = pooled_logits(bags, weights)
    return binary_cross_entropy_with_logits(
        logits, one_hot(bags.labels, logits.shape[1]).to(logits.dtype)
    )


def _rounded(weights: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """Weights as arrays, to the digits that float32 has: fewer characters in files."""
    return {
        name: np.array([float(f'{x:.7g}') for x in value.flatten().tolist()]).reshape(value.shape)
        for name, value in weights.items()
    }
