"""Faithfulness by deletion: what the class loses when RoIs are taken out of a slice's sequence.

If weights tell what the class was read from, then dropping the heaviest RoIs costs it more than
dropping others. The network takes β RoIs, so the places of the dropped ones are taken by the
others, as in a slice with fewer boxes: repeated best first, the order kept. The attention head
normalises the RoIs of a slice by their common statistics, so that a drop changes all of them, a
random one too: hence the comparison with random RoIs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mmcovid.drawing.slices import merge_repeats

if TYPE_CHECKING:
    from torch import Tensor

    from mmcovid.models.attention_heads import BaseAttentionHead

RANDOM = 'random'
BY_SCORE = 'detection score'
#: Two RoIs have to be left: a single one, normalised by its own statistics, is the same constant
#: in every slice.
LEAST_LEFT = 2


@dataclass(frozen=True)
class Deletion:
    """What was dropped from a slice, and what it did; of random drops the mean."""

    ranking: str  #: what RoIs were ranked by; 'random' if they were not
    end: str  #: 'top', 'bottom' or 'random'
    dropped: int  #: number of RoIs k
    score_drop: float  #: of the class predicted at first: its score, before minus after
    logit_drop: float  #: the same of its logit
    flipped: float  #: 1 if another class is predicted after


def refill(
    kept: np.ndarray, scores: np.ndarray, num_rois: int, order: str = 'distance'
) -> np.ndarray:
    """A full sequence of some of its RoIs, made as the RoI head makes one of too few boxes.

    Args:
        kept (np.ndarray): Places of the different RoIs to keep, (m,), ascending.
        scores (np.ndarray): Detection scores of the sequence, (β,).
        num_rois (int): Length of the sequence, β.
        order (str): Order of the sequence. Defaults to 'distance'. In one by score repeats
            follow the last RoI, otherwise they stand beside the first one.

    Returns:
        np.ndarray: For each place of the new sequence one of ``kept``, (β,).
    """
    best_first = kept[np.argsort(-scores[kept], kind='stable')]
    places = best_first[np.arange(num_rois) % len(kept)]
    return places if order == 'score' else np.sort(places)


def plan_drops(
    rankings: dict[str, np.ndarray],
    places: np.ndarray,
    counts: Sequence[int],
    draws: int,
    rng: np.random.Generator,
) -> list[tuple[str, str, np.ndarray]]:
    """Which RoIs to drop.

    Args:
        rankings (dict[str, np.ndarray]): Weights of the m different RoIs by name, (m,) each.
        places (np.ndarray): Their places in the sequence, (m,).
        counts (Sequence[int]): Numbers k of RoIs to drop; those that would leave fewer than two
            are left out.
        draws (int): Number of random draws for each k.
        rng (np.random.Generator): Source of the draws.

    Returns:
        list[tuple[str, str, np.ndarray]]: Ranking, end and places of the dropped RoIs.
    """
    drops = []
    for k in counts:
        if len(places) - k < LEAST_LEFT:
            continue
        for name, weights in rankings.items():
            ranked = places[np.argsort(-weights, kind='stable')]
            drops += [(name, 'top', ranked[:k]), (name, 'bottom', ranked[-k:])]
        drops += [(RANDOM, RANDOM, rng.choice(places, k, replace=False)) for _ in range(draws)]
    return drops


def delete_rois(
    head: 'BaseAttentionHead',
    roi_feats: 'Tensor',
    boxes: np.ndarray,
    scores: np.ndarray,
    rankings: dict[str, np.ndarray],
    counts: Sequence[int] = (1, 2, 4, 8),
    draws: int = 10,
    seed: int | Sequence[int] = 0,
    order: str = 'distance',
    batch_size: int = 16,
) -> list[Deletion]:
    """Drop RoIs of one slice and classify what is left.

    Only the attention head runs. Sequences that are the same are classified once.

    Args:
        head (BaseAttentionHead): Attention head, in evaluation mode.
        roi_feats (Tensor): Mask features of the sequence, (β, C, H, W).
        boxes (np.ndarray): Its boxes, (β, m); equal rows are repeats of one RoI, which are
            dropped together.
        scores (np.ndarray): Its detection scores, (β,).
        rankings (dict[str, np.ndarray]): Weights to rank by, (β,) each; those of repeats add up.
            RoIs are ranked by ``'detection score'``, too.
        counts (Sequence[int]): Numbers k of RoIs to drop. Defaults to (1, 2, 4, 8).
        draws (int): Number of random draws for each k. Defaults to 10.
        seed (int | Sequence[int]): Seed of the draws. Defaults to 0.
        order (str): Order of the sequence; see :func:`refill`. Defaults to 'distance'.
        batch_size (int): Sequences in one pass. Defaults to 16.

    Returns:
        list[Deletion]: For each k that leaves two RoIs the top and the bottom of each ranking,
        and the random drops.
    """
    names = list(rankings)
    places, weights = merge_repeats(boxes, np.column_stack([rankings[name] for name in names]))
    drops = plan_drops(
        dict(zip(names, weights.T)) | {BY_SCORE: scores[places]},
        places,
        counts,
        draws,
        np.random.default_rng(seed),
    )
    whole = np.arange(len(boxes))
    sequences = np.stack(
        [whole]
        + [
            refill(np.setdiff1d(places, dropped), scores, len(boxes), order)
            for _, _, dropped in drops
        ]
    )
    return summarize_drops(drops, *_classify(head, roi_feats, sequences, batch_size))


def summarize_drops(
    drops: Sequence[tuple[str, str, np.ndarray]],
    scores: np.ndarray,
    logits: np.ndarray,
    labels: np.ndarray,
) -> list[Deletion]:
    """What drops did to a slice, those of one ranking, end and number as their mean.

    Args:
        drops (Sequence[tuple[str, str, np.ndarray]]): n drops, of :func:`plan_drops`.
        scores (np.ndarray): Class scores of the whole sequence and after each drop, (1 + n, K).
        logits (np.ndarray): Their logits, (1 + n, K).
        labels (np.ndarray): The predicted classes, (1 + n,).

    Returns:
        list[Deletion]: In the order of the drops.
    """
    label = labels[0]
    effects = np.column_stack(
        [
            scores[0, label] - scores[1:, label],
            logits[0, label] - logits[1:, label],
            labels[1:] != label,
        ]
    ).astype(float)
    table: dict[tuple[str, str, int], list[np.ndarray]] = {}
    for (ranking, end, dropped), effect in zip(drops, effects):
        table.setdefault((ranking, end, len(dropped)), []).append(effect)
    return [Deletion(*key, *np.mean(rows, axis=0).tolist()) for key, rows in table.items()]


def _classify(
    head: 'BaseAttentionHead', roi_feats: 'Tensor', sequences: np.ndarray, batch_size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores (n, K), logits (n, K) and labels (n,) of sequences of RoIs, (n, β) places."""
    import torch

    different, inverse = np.unique(sequences, axis=0, return_inverse=True)
    results: list[dict[str, Tensor]] = []
    with torch.no_grad():
        for part in torch.from_numpy(different).to(roi_feats.device).split(batch_size):
            results += head.predict(roi_feats[part].flatten(0, 1))
    scores, logits, labels = (
        torch.stack([result[key].flatten() for result in results]).cpu().numpy()[inverse.ravel()]
        for key in ('score', 'logits', 'label')
    )
    return scores, logits, labels[:, 0]
