"""Figures of a set of slices, with intervals by bootstrap over patients."""
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
from scipy.stats import rankdata

from mmcovid.results import Estimate
from mmcovid.statistics.bootstrap import Resamples, weighted_sums
from mmcovid.statistics.clusters import cluster_names

from .deletion import BY_SCORE, RANDOM
from .record import SliceAttention, branch_names
from .regions import REGIONS

MEASURES = ('score_drop', 'logit_drop', 'flipped')
ALL = 'all slices'


class SliceSet:
    """Slices of one set as arrays, and the resamples of their patients.

    Args:
        slices (Sequence[SliceAttention]): n slices of one task.
        lesion_classes (Sequence[str]): Names of the K lesion classes.
        classes (Sequence[str]): Names of the image classes.
        rounds (int): Number of resamples.
        seed (int): Their seed.
    """

    def __init__(self, slices: Sequence[SliceAttention], lesion_classes: Sequence[str],
                 classes: Sequence[str], rounds: int, seed: int) -> None:
        names, self.strangers = cluster_names([
            dict(img_id=s.img_id, patient_id=s.patient_id, scan_id=s.scan_id) for s in slices])
        patients, self.cluster = np.unique(names, return_inverse=True)
        self.slices, self.num_patients = slices, len(patients)
        self._resamples = Resamples(len(patients), rounds, seed)
        self.attention = np.stack([s.weights for s in slices])  # (n, β, branches)
        self.branches = branch_names(self.attention.shape[2])
        self.scores = np.stack([s.scores for s in slices])
        labels = np.stack([s.labels for s in slices])
        #: What a RoI is, by kind: names, and shares of each RoI, (n, β, names)
        self.kinds = {
            'lesion class': (lesion_classes, np.eye(len(lesion_classes))[labels]),
            'region': (REGIONS, np.stack([s.regions for s in slices])),
            'truth': (('true lesion',), np.stack([s.in_lesion for s in slices])[..., None])}
        truth = np.array([-1 if s.truth is None else s.truth for s in slices])
        pred = np.array([s.pred for s in slices])
        labelled, every = truth >= 0, range(len(classes))
        self.groups = {ALL: np.ones(len(slices), bool)} | {
            f'true {classes[k]}': truth == k for k in every} | {
            f'wrongly {classes[k]}': labelled & (pred == k) & (truth != k) for k in every} | {
            f'predicted {classes[k]}': ~labelled & (pred == k) for k in every}
        self.groups = {name: chosen for name, chosen in self.groups.items() if chosen.any()}

    def describe(self) -> dict:
        """What the set holds, and what figures cannot use."""
        _, regions = self.kinds['region']
        return dict(
            slices=len(self.slices), patients=self.num_patients,
            slices_without_patient=self.strangers, rois=self.attention.shape[1],
            branches=self.branches,
            groups={name: int(chosen.sum()) for name, chosen in self.groups.items()},
            with_repeats=sum(len(np.unique(np.column_stack([s.boxes, s.labels]), axis=0))
                             < len(s.boxes) for s in self.slices),
            no_lung_found=int(np.isnan(regions[:, 0, -1]).sum()),
            one_lung_found=int((np.isnan(regions[:, 0, 0]) & ~np.isnan(regions[:, 0, -1])).sum()),
            with_true_lesions=int((~np.isnan(self.kinds['truth'][1][:, 0, 0])).sum()))

    def sums(self, *columns: np.ndarray) -> np.ndarray:
        """Sums of values of the slices, (n,) each, in every resample, one row each."""
        return weighted_sums(
            np.column_stack(columns), self.cluster, self._resamples.weights).T

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Mean over the slices that have a value, in every resample."""
        known = ~np.isnan(values)
        total, count = self.sums(np.where(known, values, 0), known)
        with np.errstate(invalid='ignore'):
            return total / count

    def _share(self, values: np.ndarray) -> dict[str, float]:
        """Estimate of a figure in 0..1."""
        return _as_row(self._resamples.estimate(values))

    def _number(self, values: np.ndarray) -> dict[str, float]:
        """Estimate of any other figure."""
        return _as_row(self._resamples.estimate(values, scale='linear'))

    def shares(self) -> list[dict]:
        """Attention on each kind of RoI, what even weights would give, and their ratio."""
        rows = []
        for kind, (names, what) in self.kinds.items():
            for group, chosen in self.groups.items():
                for i, name in enumerate(names):
                    known = chosen & ~np.isnan(what[:, 0, i])
                    if not known.any():
                        continue
                    parts = np.where(known[:, None], what[..., i], 0)
                    for b, branch in enumerate(self.branches):
                        on_it, even, count = self.sums(
                            (parts * self.attention[..., b]).sum(1), parts.mean(1), known)
                        with np.errstate(invalid='ignore', divide='ignore'):
                            rows.append(dict(
                                kind=kind, group=group, name=name, branch=branch,
                                slices=int(known.sum()), attention=self._share(on_it / count),
                                even=self._share(even / count),
                                ratio=self._number(on_it / even)))
        return rows

    def order(self) -> dict[str, dict]:
        """By branch: weight by place and by score, and how far it is spread."""
        num_rois = self.attention.shape[1]
        best_first = np.argsort(-self.scores, axis=1, kind='stable')
        places = np.broadcast_to(np.arange(num_rois), self.scores.shape)
        figures = {}
        for b, branch in enumerate(self.branches):
            own = self.attention[..., b]
            by_place = np.stack([self.mean(column) for column in own.T])
            ranked = np.take_along_axis(own, best_first, axis=1)
            (spread,), (count,) = (self.sums(each) for each in (
                ((own - 1 / num_rois) ** 2).sum(1), np.ones(len(own))))
            between = ((by_place - 1 / num_rois) ** 2).sum(0)
            entropy = -np.where(own > 0, own * np.log(np.where(own > 0, own, 1)), 0).sum(1)
            with np.errstate(invalid='ignore'):
                explained = between * count / spread
            figures[branch] = dict(
                by_place=[self._share(values) for values in by_place],
                by_score=[self._share(self.mean(column)) for column in ranked.T],
                place_correlation=self._number(self.mean(_spearman(places, own))),
                score_correlation=self._number(self.mean(_spearman(self.scores, own))),
                explained_by_place=self._share(explained),
                effective_rois=self._number(self.mean(np.exp(entropy))),
                largest_weight=self._share(self.mean(own.max(1))))
        return figures

    def pointing(self) -> dict[str, dict]:
        """By branch: how often the heaviest RoI is centred in a true lesion, and any RoI."""
        centred = np.stack([s.centred for s in self.slices])
        if np.isnan(centred).all():
            return {}
        chance, figures = centred.mean(1), {}
        for b, branch in enumerate(self.branches):
            heaviest = self.attention[..., b].argmax(1)
            hit = centred[np.arange(len(centred)), heaviest]
            figures[branch] = dict(
                slices=int((~np.isnan(hit)).sum()), hit=self._share(self.mean(hit)),
                chance=self._share(self.mean(chance)),
                difference=self._number(self.mean(hit - chance)))
        return figures

    def deletion(self) -> list[dict]:
        """What dropping RoIs changes: top, bottom and random, and differences from random."""
        table: dict[tuple, np.ndarray] = {}
        for i, each in enumerate(self.slices):
            for d in each.deletions:
                key = d.ranking, d.end, d.dropped
                table.setdefault(key, np.full((len(self.slices), len(MEASURES)), np.nan))[i] = [
                    getattr(d, measure) for measure in MEASURES]
        rows = []
        for k in sorted({key[2] for key in table}):
            for ranking in (*self.branches, BY_SCORE):
                top, bottom, random = (table[key] for key in (
                    (ranking, 'top', k), (ranking, 'bottom', k), (RANDOM, RANDOM, k)))
                used = int((~np.isnan(top[:, 0])).sum())
                for m, measure in enumerate(MEASURES):
                    values = dict(
                        top=top, bottom=bottom, random=random, top_minus_random=top - random,
                        top_minus_bottom=top - bottom)
                    rows.append(dict(
                        ranking=ranking, dropped=k, measure=measure, slices=used,
                        too_few_rois=len(self.slices) - used,
                        **{name: self._number(self.mean(each[:, m]))
                           for name, each in values.items()}))
        return rows


def compute(slices: Sequence[SliceAttention], lesion_classes: Sequence[str],
            classes: Sequence[str], rounds: int, seed: int) -> dict[str, dict]:
    """Figures of each set of slices.

    Args:
        slices (Sequence[SliceAttention]): Slices of one or both sets.
        lesion_classes (Sequence[str]): Names of the lesion classes.
        classes (Sequence[str]): Names of the image classes.
        rounds (int): Number of resamples.
        seed (int): Their seed.

    Returns:
        dict[str, dict]: By task (``cls``, ``seg``): ``set``, ``shares``, ``order``, ``pointing``
        and ``deletion``; estimates are dicts with ``value``, ``low`` and ``high``.
    """
    figures = {}
    for task in sorted({each.task for each in slices}):
        own = SliceSet([each for each in slices if each.task == task], lesion_classes, classes,
                       rounds, seed)
        figures[task] = dict(set=own.describe(), shares=own.shares(), order=own.order(),
                             pointing=own.pointing(), deletion=own.deletion())
    return figures


def roi_rows(slices: Sequence[SliceAttention], lesion_classes: Sequence[str],
             classes: Sequence[str]) -> tuple[list[str], list[dict]]:
    """Header and rows of ``attention.csv``: one row for each slice and place."""
    def column(name: str) -> str:
        return name.replace(' ', '_').replace('-', '_')

    rows = []
    for each in slices:
        branches = branch_names(each.weights.shape[1])
        for i, box in enumerate(each.boxes):
            same = np.flatnonzero((each.boxes == box).all(1) & (each.labels == each.labels[i]))
            rows.append(
                dict(_which(each, classes), place=i + 1,
                     repeat_of='' if same[0] == i else same[0] + 1,
                     lesion_class=lesion_classes[each.labels[i]], score=each.scores[i])
                | {column(branch): w for branch, w in zip(branches, each.weights[i])}
                | dict(zip(('x1', 'y1', 'x2', 'y2'), box))
                | {column(name): share for name, share in zip(REGIONS, each.regions[i])}
                | dict(true_lesion=each.in_lesion[i]))
    return list(rows[0]), rows


def deletion_rows(slices: Sequence[SliceAttention],
                  classes: Sequence[str]) -> tuple[list[str], list[dict]]:
    """Header and rows of ``deletion.csv``: one row for each slice and way of dropping."""
    header = ['task', 'img_id', 'patient_id', 'true_class', 'pred_class', 'ranking', 'end',
              'dropped', *MEASURES]
    return header, [dict(_which(each, classes), **asdict(deletion))
                    for each in slices for deletion in each.deletions]


def _which(each: SliceAttention, classes: Sequence[str]) -> dict:
    """Columns that tell a slice."""
    return dict(task=each.task, img_id=each.img_id, patient_id=each.patient_id,
                true_class='' if each.truth is None else classes[each.truth],
                pred_class=classes[each.pred])


def _as_row(estimate: Estimate) -> dict[str, float]:
    """An estimate as the page and the tables have it, of a single training run."""
    row = asdict(estimate)
    del row['sd_of_runs']
    return row


def _spearman(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Rank correlation of each row of two arrays (n, m); nan if one is constant."""
    a, b = (rankdata(each, axis=1) for each in (a, b))
    a, b = (each - each.mean(1, keepdims=True) for each in (a, b))
    with np.errstate(invalid='ignore'):
        return (a * b).sum(1) / np.sqrt((a ** 2).sum(1) * (b ** 2).sum(1))
