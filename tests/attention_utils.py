"""Slices with attention weights, for the tests of the attention report."""

import numpy as np

from mmcovid.analysis.attention import (
    AttentionReport,
    AttentionSettings,
    Deletion,
    SliceAttention,
    measure_sets,
)
from mmcovid.analysis.attention.regions import SLICE_REGIONS
from mmcovid.classes import DEFAULT
from mmcovid.results.attention import ExplainedModel

NUM_ROIS = 4


def slice_of(index, weights, labels=(0, 1, 1, 2), truth=1, pred=1, task='cls', **known):
    """A slice of patient ``index // 2``."""
    rng = np.random.default_rng(index)
    corners = rng.random((NUM_ROIS, 2))
    unknown = dict(
        regions=np.full((NUM_ROIS, len(SLICE_REGIONS)), np.nan),
        in_lesion=np.full(NUM_ROIS, np.nan),
        centred=np.full(NUM_ROIS, np.nan),
    )
    return SliceAttention(
        img_id=f'slice {index}',
        img_path='',
        task=task,
        patient_id=f'p{index // 2}',
        scan_id='unknown',
        truth=truth if task == 'cls' else None,
        pred=pred,
        boxes=np.hstack([corners, corners + 1]),
        labels=np.array(labels),
        scores=rng.random(NUM_ROIS),
        weights=np.asarray(weights, float).reshape(NUM_ROIS, -1),
        **(unknown | known),
    )


def random_slices(number, branches=1, **known):
    rng = np.random.default_rng(0)
    return [
        slice_of(
            i,
            rng.dirichlet(np.ones(NUM_ROIS), branches).T,
            truth=i % 3,
            labels=rng.integers(0, 3, NUM_ROIS),
            **known,
        )
        for i in range(number)
    ]


def deletions(top, random, bottom, k=1):
    return [
        Deletion(ranking, end, k, value, 2 * value, float(value > 0.4))
        for ranking in ('attention', 'detection score')
        for end, value in (('top', top), ('bottom', bottom))
    ] + [Deletion('random', 'random', k, random, 2 * random, float(random > 0.4))]


def make_report():
    """A report of slices with class labels, and of a lesion set in which one slice has a lesion."""
    regions = np.full((NUM_ROIS, len(SLICE_REGIONS)), 0.5)
    slices = random_slices(6, regions=regions) + random_slices(4, task='seg')
    for record in slices[:6]:
        record.deletions = deletions(0.3, 0.2, 0.1)
    slices[-1].in_lesion = slices[-1].centred = np.array([0.0, 1, 1, 0])
    return AttentionReport(
        settings=AttentionSettings(rounds=20),
        model=ExplainedModel('a<b>.py', '0' * 64, 'c.pth', '1' * 64),
        software=dict(numpy='2'),
        classes=DEFAULT.image_names,
        lesion_classes=DEFAULT.lesion_names,
        notes=['1 < 2 slices'],
        sets=measure_sets(slices, DEFAULT, 20, 0),
    )
