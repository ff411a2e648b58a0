"""Figures of a set of slices, with intervals by bootstrap over patients."""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
from scipy.stats import rankdata

from mmcovid.classes import Classes
from mmcovid.results import AttentionSet, Estimate
from mmcovid.results.attention import (
    AttentionOrder,
    AttentionSetSize,
    AttentionShare,
    DeletionEffect,
    Pointing,
)
from mmcovid.statistics.bootstrap import Resamples, weighted_means, weighted_sums
from mmcovid.statistics.clusters import cluster_names

from .deletion import BY_SCORE, RANDOM
from .regions import SLICE_REGIONS
from .slices import SliceAttention
from .words import ALL, PREDICTED, TRUE, WRONGLY

#: What a dropped RoI changes, as :class:`~.deletion.Deletion` has it.
MEASURES = ('score_drop', 'logit_drop', 'flipped')
#: What a RoI is, in three ways.
LESION_CLASS, REGION, TRUTH = 'lesion class', 'region', 'truth'


def measure_sets(
    slices: Sequence[SliceAttention], classes: Classes, rounds: int, seed: int
) -> dict[str, AttentionSet]:
    """Figures of each set of slices.

    Args:
        slices (Sequence[SliceAttention]): Slices of one or both sets.
        classes (Classes): Of the model.
        rounds (int): Number of resamples.
        seed (int): Their seed.

    Returns:
        dict[str, AttentionSet]: By task (``cls``, ``seg``).
    """
    return {
        task: ResampledSlices(
            [record for record in slices if record.task == task], classes, rounds, seed
        ).measure()
        for task in sorted({record.task for record in slices})
    }


class ResampledSlices:
    """Slices of one set as arrays, and the resamples of their patients.

    Args:
        slices (Sequence[SliceAttention]): n slices of one task.
        classes (Classes): Of the model, with K lesion classes.
        rounds (int): Number of resamples.
        seed (int): Their seed.
    """

    def __init__(
        self, slices: Sequence[SliceAttention], classes: Classes, rounds: int, seed: int
    ) -> None:
        names, self.without_patient = cluster_names(
            [dict(img_id=s.img_id, patient_id=s.patient_id, scan_id=s.scan_id) for s in slices]
        )
        patients, self.cluster = np.unique(names, return_inverse=True)
        self.slices, self.num_patients = slices, len(patients)
        self._resamples = Resamples(len(patients), rounds, seed)
        self.attention = np.stack([s.weights for s in slices])  # (n, β, branches)
        self.branches = slices[0].branches
        self.scores = np.stack([s.scores for s in slices])
        labels = np.stack([s.labels for s in slices])
        #: What a RoI is, by kind: names, and shares of each RoI, (n, β, names)
        self.kinds = {
            LESION_CLASS: (classes.lesion_names, np.eye(len(classes.lesions))[labels]),
            REGION: (SLICE_REGIONS, np.stack([s.regions for s in slices])),
            TRUTH: (('true lesion',), np.stack([s.in_lesion for s in slices])[..., None]),
        }
        self.groups = _group(slices, classes.image_names)

    def measure(self) -> AttentionSet:
        """All figures of the set."""
        return AttentionSet(
            self.describe(), self.shares(), self.order(), self.pointing(), self.deletion()
        )

    def describe(self) -> AttentionSetSize:
        """What the set holds, and what figures cannot use."""
        _, regions = self.kinds[REGION]
        no_lung, no_sides = (np.isnan(regions[:, 0, place]) for place in (-1, 0))
        return AttentionSetSize(
            slices=len(self.slices),
            patients=self.num_patients,
            slices_without_patient=self.without_patient,
            rois=self.attention.shape[1],
            branches=self.branches,
            groups={name: int(chosen.sum()) for name, chosen in self.groups.items()},
            with_repeats=sum(
                len(np.unique(np.column_stack([s.boxes, s.labels]), axis=0)) < len(s.boxes)
                for s in self.slices
            ),
            no_lung_found=int(no_lung.sum()),
            one_lung_found=int((no_sides & ~no_lung).sum()),
            with_true_lesions=int((~np.isnan(self.kinds[TRUTH][1][:, 0, 0])).sum()),
        )

    def sums(self, *columns: np.ndarray) -> np.ndarray:
        """Sums of values of the slices, (n,) each, in every resample, one row each."""
        return weighted_sums(np.column_stack(columns), self.cluster, self._resamples.weights).T

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Mean over the slices that have a value, in every resample."""
        return weighted_means(values[:, None], self.cluster, self._resamples.weights)[:, 0]

    def _share(self, values: np.ndarray) -> Estimate:
        """Estimate of a figure in 0..1."""
        return self._resamples.estimate(values)

    def _number(self, values: np.ndarray) -> Estimate:
        """Estimate of any other figure."""
        return self._resamples.estimate(values, scale='linear')

    def shares(self) -> list[AttentionShare]:
        """Attention on each kind of RoI, what even weights would give, and their ratio."""
        return [
            self._attention_share(kind, group, i, b)
            for kind, (names, what) in self.kinds.items()
            for group, chosen in self.groups.items()
            for i in range(len(names))
            if (chosen & ~np.isnan(what[:, 0, i])).any()
            for b in range(len(self.branches))
        ]

    def _attention_share(self, kind: str, group: str, i: int, b: int) -> AttentionShare:
        """Of the i-th name of a kind, in the b-th branch."""
        names, what = self.kinds[kind]
        known = self.groups[group] & ~np.isnan(what[:, 0, i])
        parts = np.where(known[:, None], what[..., i], 0)
        on_it, even, count = self.sums(
            (parts * self.attention[..., b]).sum(1), parts.mean(1), known
        )
        with np.errstate(invalid='ignore', divide='ignore'):
            return AttentionShare(
                kind=kind,
                group=group,
                name=names[i],
                branch=self.branches[b],
                slices=int(known.sum()),
                attention=self._share(on_it / count),
                even=self._share(even / count),
                ratio=self._number(on_it / even),
            )

    def order(self) -> dict[str, AttentionOrder]:
        """By branch: weight by place and by score, and how far it is spread."""
        return {
            branch: self._order_of(self.attention[..., b]) for b, branch in enumerate(self.branches)
        }

    def _order_of(self, weights: np.ndarray) -> AttentionOrder:
        """Of the weights of one branch, (n, β)."""
        best_first = np.argsort(-self.scores, axis=1, kind='stable')
        ranked = np.take_along_axis(weights, best_first, axis=1)
        places = np.broadcast_to(np.arange(weights.shape[1]), weights.shape)
        by_place = np.stack([self.mean(column) for column in weights.T])
        entropy = -np.where(
            weights > 0, weights * np.log(np.where(weights > 0, weights, 1)), 0
        ).sum(1)
        return AttentionOrder(
            by_place=[self._share(values) for values in by_place],
            by_score=[self._share(self.mean(column)) for column in ranked.T],
            place_correlation=self._number(self.mean(_spearman(places, weights))),
            score_correlation=self._number(self.mean(_spearman(self.scores, weights))),
            explained_by_place=self._share(self._explained(weights, by_place)),
            effective_rois=self._number(self.mean(np.exp(entropy))),
            largest_weight=self._share(self.mean(weights.max(1))),
        )

    def _explained(self, weights: np.ndarray, by_place: np.ndarray) -> np.ndarray:
        """Share of the variance of weights that their place alone explains, in every resample.

        Args:
            weights (np.ndarray): (n, β).
            by_place (np.ndarray): Their means in every resample, (β, resamples).
        """
        even = 1 / weights.shape[1]
        (spread,), (count,) = (
            self.sums(values) for values in (((weights - even) ** 2).sum(1), np.ones(len(weights)))
        )
        with np.errstate(invalid='ignore'):
            return ((by_place - even) ** 2).sum(0) * count / spread

    def pointing(self) -> dict[str, Pointing]:
        """By branch: how often the heaviest RoI is centred in a true lesion, and any RoI."""
        centred = np.stack([s.centred for s in self.slices])
        if np.isnan(centred).all():
            return {}
        chance, figures = centred.mean(1), {}
        for b, branch in enumerate(self.branches):
            heaviest = self.attention[..., b].argmax(1)
            hit = centred[np.arange(len(centred)), heaviest]
            figures[branch] = Pointing(
                slices=int((~np.isnan(hit)).sum()),
                hit=self._share(self.mean(hit)),
                chance=self._share(self.mean(chance)),
                difference=self._number(self.mean(hit - chance)),
            )
        return figures

    def deletion(self) -> list[DeletionEffect]:
        """What dropping RoIs changes: top, bottom and random, and differences from random."""
        effects = self._effects()
        return [
            self._deletion_effect(effects, ranking, k, measure)
            for k in sorted({dropped for _, _, dropped in effects})
            for ranking in (*self.branches, BY_SCORE)
            for measure in MEASURES
        ]

    def _effects(self) -> dict[tuple[str, str, int], np.ndarray]:
        """By ranking, end and number dropped: each slice's :data:`MEASURES`, (n, 3), or nan."""
        table: dict[tuple[str, str, int], np.ndarray] = {}
        for i, record in enumerate(self.slices):
            for d in record.deletions:
                key = d.ranking, d.end, d.dropped
                table.setdefault(key, np.full((len(self.slices), len(MEASURES)), np.nan))[i] = [
                    getattr(d, measure) for measure in MEASURES
                ]
        return table

    def _deletion_effect(
        self,
        effects: dict[tuple[str, str, int], np.ndarray],
        ranking: str,
        dropped: int,
        measure: str,
    ) -> DeletionEffect:
        m = MEASURES.index(measure)
        top, bottom, random = (
            effects[by, end, dropped][:, m]
            for by, end in ((ranking, 'top'), (ranking, 'bottom'), (RANDOM, RANDOM))
        )
        used = int((~np.isnan(top)).sum())
        return DeletionEffect(
            ranking,
            dropped,
            measure,
            used,
            len(self.slices) - used,
            *(
                self._number(self.mean(values))
                for values in (top, bottom, random, top - random, top - bottom)
            ),
        )


def roi_rows(slices: Sequence[SliceAttention], classes: Classes) -> tuple[list[str], list[dict]]:
    """Header and rows of ``attention.csv``: one row for each slice and place."""

    def column(name: str) -> str:
        return name.replace(' ', '_').replace('-', '_')

    rows = []
    for record in slices:
        for i, box in enumerate(record.boxes):
            same = np.flatnonzero(
                (record.boxes == box).all(1) & (record.labels == record.labels[i])
            )
            rows.append(
                dict(
                    _which(record, classes),
                    place=i + 1,
                    repeat_of='' if same[0] == i else same[0] + 1,
                    lesion_class=classes.lesion_names[record.labels[i]],
                    score=record.scores[i],
                )
                | {column(branch): w for branch, w in zip(record.branches, record.weights[i])}
                | dict(zip(('x1', 'y1', 'x2', 'y2'), box))
                | {column(name): share for name, share in zip(SLICE_REGIONS, record.regions[i])}
                | dict(true_lesion=record.in_lesion[i])
            )
    return list(rows[0]), rows


def deletion_rows(
    slices: Sequence[SliceAttention], classes: Classes
) -> tuple[list[str], list[dict]]:
    """Header and rows of ``deletion.csv``: one row for each slice and way of dropping."""
    header = [
        'task',
        'img_id',
        'patient_id',
        'true_class',
        'pred_class',
        'ranking',
        'end',
        'dropped',
        *MEASURES,
    ]
    return header, [
        dict(_which(record, classes), **asdict(deletion))
        for record in slices
        for deletion in record.deletions
    ]


def _which(record: SliceAttention, classes: Classes) -> dict[str, str]:
    """Columns that tell a slice."""
    names = classes.image_names
    return dict(
        task=record.task,
        img_id=record.img_id,
        patient_id=record.patient_id,
        true_class='' if record.truth is None else names[record.truth],
        pred_class=names[record.pred],
    )


def _group(slices: Sequence[SliceAttention], names: Sequence[str]) -> dict[str, np.ndarray]:
    """Which slices are in each group, (n,) bool, of groups that are not empty."""
    truth = np.array([-1 if s.truth is None else s.truth for s in slices])
    pred = np.array([s.pred for s in slices])
    labelled, every = truth >= 0, range(len(names))
    groups = (
        {ALL: np.ones(len(slices), bool)}
        | {f'{TRUE} {names[k]}': truth == k for k in every}
        | {f'{WRONGLY} {names[k]}': labelled & (pred == k) & (truth != k) for k in every}
        | {f'{PREDICTED} {names[k]}': ~labelled & (pred == k) for k in every}
    )
    return {name: chosen for name, chosen in groups.items() if chosen.any()}


def _spearman(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Rank correlation of each row of two arrays (n, m); nan if one is constant."""
    a, b = (rankdata(values, axis=1) for values in (a, b))
    a, b = (ranks - ranks.mean(1, keepdims=True) for ranks in (a, b))
    with np.errstate(invalid='ignore'):
        return (a * b).sum(1) / np.sqrt((a**2).sum(1) * (b**2).sum(1))
