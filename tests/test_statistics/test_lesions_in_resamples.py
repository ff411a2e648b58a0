"""Lesion figures against COCO's own evaluation and against masks, on the resampled slices."""

import contextlib
import copy
import io

import numpy as np
import pycocotools.mask as mask_utils
import pytest
from mmengine.registry import METRICS
from predictions_utils import LESION_CLASSES, SIZE, simulate_lesions
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmcovid.statistics.bootstrap import resample_clusters
from mmcovid.statistics.lesions import lesion_figures


def coco_precision(entries):
    """COCO's precision table of all areas, (10 IoU, 101 recall, classes), on these slices."""
    truth, found, annotations = COCO(), [], []
    for i, entry in enumerate(entries):
        for item in entry['instances']:
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=i,
                    category_id=item['bbox_label'],
                    iscrowd=0,
                    area=1,
                    segmentation=item['mask'],
                )
            )
        pred = entry['pred_instances']
        found += [
            dict(image_id=i, category_id=int(label), score=float(score), segmentation=mask)
            for label, score, mask in zip(pred['labels'], pred['scores'], pred['masks'])
        ]
    truth.dataset = dict(
        images=[dict(id=i, height=SIZE, width=SIZE) for i in range(len(entries))],
        categories=[dict(id=k) for k in range(3)],
        annotations=copy.deepcopy(annotations),
    )
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(copy.deepcopy(found)), 'segm')
        evaluation.params.maxDets = [1, 10, 1000]
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval['precision'][:, :, :, 0, -1]


def evaluate(kind, entries, **kwargs):
    """Figures of a metric of ``mmcovid test``."""
    metric = METRICS.build(dict(type=kind, **kwargs))
    metric.dataset_meta = dict(classes=LESION_CLASSES)
    metric.process({}, copy.deepcopy(entries))
    return metric.evaluate(len(entries))


def decode_union(masks):
    return (
        np.any([mask_utils.decode(m) for m in masks], axis=0)
        if masks
        else np.zeros((SIZE, SIZE), bool)
    )


def dice_by_masks(entries, label, score_thr):
    per_slice, both, total = [], 0, 0
    for entry in entries:
        pred = entry['pred_instances']
        found = decode_union(
            [
                m
                for k, s, m in zip(pred['labels'], pred['scores'], pred['masks'])
                if k == label and s >= score_thr
            ]
        )
        true = decode_union([i['mask'] for i in entry['instances'] if i['bbox_label'] == label])
        if found.any() or true.any():
            per_slice.append(2 * (found & true).sum() / (found.sum() + true.sum()))
        both, total = both + 2 * (found & true).sum(), total + found.sum() + true.sum()
    return np.mean(per_slice), both / total


@pytest.mark.parametrize('seed', [0, 1])
def test_figures_of_a_resample_are_those_of_the_repeated_slices(seed):
    entries = simulate_lesions(seed=seed)
    cluster = np.repeat(np.arange(8), 3)
    weights = resample_clusters(8, 4, seed)
    found = lesion_figures(entries, LESION_CLASSES, cluster, weights, score_thr=0.3)
    for row in range(5):
        again = [
            entry for entry, times in zip(entries, weights[row, cluster]) for _ in range(times)
        ]
        precision = coco_precision(again)
        assert found['mAP'][row] == pytest.approx(precision.mean())
        assert found['mAP_75'][row] == pytest.approx(precision[5].mean())
        per_image = evaluate('mmcovid.PerImageAP', again)
        for name in ('mAP', 'mAP_50', 'mAP_75'):
            assert found[f'per_image_{name}'][row] == pytest.approx(
                per_image[f'per_image/segm_{name}']
            )
        for k, name in enumerate(LESION_CLASSES):
            assert found[f'{name}_ap'][row] == pytest.approx(precision[:, :, k].mean())
            assert found[f'{name}_ap50'][row] == pytest.approx(precision[0, :, k].mean())
            dice, pooled = dice_by_masks(again, k, 0.3)
            assert found[f'{name}_dice'][row] == pytest.approx(dice)
            assert found[f'{name}_dice_pooled'][row] == pytest.approx(pooled)


def test_average_precision_is_that_of_the_metric():
    entries = simulate_lesions()
    expected = evaluate('mmcovid.LesionMetric', entries, metric='segm', classwise=True)
    found = lesion_figures(
        entries, LESION_CLASSES, np.zeros(len(entries), int), resample_clusters(1, 1, 0), 0.3
    )
    assert found['mAP'][0] == pytest.approx(expected['coco/segm_mAP'], abs=5.1e-4)  # it rounds
    for name in LESION_CLASSES:
        assert found[f'{name}_ap'][0] == pytest.approx(
            expected[f'coco/segm_{name}_precision'], abs=5.1e-4
        )


def test_nothing_found_and_nothing_there():
    entries = simulate_lesions(2, 2)
    for entry in entries:
        entry['pred_instances'] = {k: v[:0] for k, v in entry['pred_instances'].items()}
        entry['instances'] = [i for i in entry['instances'] if i['bbox_label'] != 2]
    found = lesion_figures(
        entries, LESION_CLASSES, np.array([0, 0, 1, 1]), resample_clusters(2, 3, 0), 0.3
    )
    assert found['mAP'][0] == 0 and found['ggo_ap50'][0] == found['ggo_dice'][0] == 0
    assert np.isnan(found['consolidation_ap']).all()
    assert np.isnan(found['consolidation_dice']).all()
