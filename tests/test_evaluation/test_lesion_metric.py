import json
import math

import numpy as np
import pycocotools.mask as mask_utils
import pytest
import torch
from mmengine.registry import METRICS

CLASSES = ('lung', 'ggo', 'consolidation')


def box_mask(box, size=32):
    mask = np.zeros((size, size), np.uint8)
    mask[box[1] : box[3], box[0] : box[2]] = 1
    return mask


def slice_sample(img_id, truth, found):
    """A sample; truth and found are lists of (label, box), found ones with score 0.9."""
    instances = [
        dict(
            bbox_label=label,
            bbox=list(box),
            mask=mask_utils.encode(np.asfortranarray(box_mask(box))),
        )
        for label, box in truth
    ]
    boxes = [box for _, box in found]
    return dict(
        img_id=img_id,
        ori_shape=(32, 32),
        instances=instances,
        pred_instances=dict(
            bboxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
            labels=torch.tensor([label for label, _ in found], dtype=torch.long),
            scores=torch.full((len(found),), 0.9),
            masks=torch.tensor(
                np.array([box_mask(box) for box in boxes]).reshape(-1, 32, 32), dtype=torch.bool
            ),
        ),
    )


def evaluate(samples, **kwargs):
    metric = METRICS.build(
        dict(type='mmcovid.LesionMetric', metric=['bbox', 'segm'], classwise=True, **kwargs)
    )
    metric.dataset_meta = dict(classes=CLASSES)
    metric.process({}, samples)
    return metric.evaluate(len(samples))


def test_boxes_and_masks_are_kept_apart_per_class():
    lung, lesion = (0, (2, 2, 20, 30)), (1, (4, 4, 14, 14))
    shifted = (1, (9, 4, 19, 14))
    metrics = evaluate([slice_sample(7, [lung, lesion], [lung, shifted]), slice_sample(8, [], [])])
    for kind in ('bbox', 'segm'):
        assert metrics[f'coco/{kind}_lung_precision'] == 1
        assert metrics[f'coco/{kind}_ggo_precision'] == 0
        assert math.isnan(metrics[f'coco/{kind}_consolidation_precision'])
        assert metrics[f'coco/{kind}_mAP_50'] == pytest.approx(0.5)
    assert len(set(metrics)) == 2 * (3 + 6)


def test_a_model_that_finds_nothing_scores_zero():
    metrics = evaluate([slice_sample(7, [], []), slice_sample(8, [(2, (4, 4, 14, 14))], [])])
    assert metrics['coco/segm_mAP'] == metrics['coco/bbox_mAP_50'] == 0
    assert metrics['coco/segm_consolidation_precision'] == 0
    assert math.isnan(metrics['coco/segm_lung_precision'])


def test_a_set_without_lesions_has_no_figure():
    metrics = evaluate([slice_sample(7, [], []), slice_sample(8, [], [(1, (4, 4, 14, 14))])])
    assert math.isnan(metrics['coco/segm_mAP'])
    assert all(math.isnan(value) for value in metrics.values())


def test_slices_that_the_dataset_left_out_are_not_missed(tmp_path):
    box = (2, 2, 20, 30)
    area = dict(
        category_id=1,
        bbox=[2, 2, 18, 28],
        area=18 * 28,
        iscrowd=0,
        segmentation=[[2, 2, 20, 2, 20, 30, 2, 30]],
    )
    coco = dict(
        categories=[dict(id=number, name=name) for number, name in enumerate(CLASSES, 1)],
        images=[dict(id=number, file_name='', width=32, height=32) for number in (7, 8)],
        annotations=[dict(area, id=number, image_id=number) for number in (7, 8)],
    )
    (tmp_path / 'lesions.json').write_text(json.dumps(coco))
    metrics = evaluate([slice_sample(7, [], [(0, box)])], ann_file=str(tmp_path / 'lesions.json'))
    assert metrics['coco/bbox_lung_precision'] == 1
