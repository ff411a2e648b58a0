from pathlib import Path

import numpy as np
import pycocotools.mask as mask_utils
import pytest
import torch
from mmdet.structures.mask import BitmapMasks, encode_mask_results
from mmengine.hooks import CheckpointHook
from mmengine.registry import METRICS
from predictions_utils import LESION_CLASSES, SIZE, box_mask, simulate_lesions

from mmcovid.evaluation import per_image_ap

VECTORS = Path(__file__).parents[1] / 'data' / 'average_precision.npz'


def decode(masks):
    return np.array([mask_utils.decode(mask) for mask in masks], bool).reshape(-1, SIZE, SIZE)


def evaluate(samples, kind='PerImageAP', **kwargs):
    metric = METRICS.build(dict(type=f'mmcovid.{kind}', **kwargs))
    metric.dataset_meta = dict(classes=LESION_CLASSES)
    metric.process({}, samples)
    return metric.evaluate(len(samples))


def as_tested(entry):
    """The sample of which an entry is the dump."""
    sample = {key: value for key, value in entry.items() if key != 'instances'}
    truth, pred = entry['instances'], entry['pred_instances']
    masks = decode([item['mask'] for item in truth]).astype(np.uint8)
    sample['gt_instances'] = dict(
        labels=torch.tensor([item['bbox_label'] for item in truth], dtype=torch.long),
        bboxes=torch.tensor([item['bbox'] for item in truth]).reshape(-1, 4),
        masks=BitmapMasks(masks, SIZE, SIZE),
    )
    sample['pred_instances'] = dict(pred, masks=torch.from_numpy(decode(pred['masks'])))
    return sample


class OnDevice(torch.Tensor):
    """A tensor that, like one on a GPU, is no array before it is moved."""

    def __array__(self, *args, **kwargs):
        raise TypeError("can't convert")

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        found = super().__torch_function__(func, types, args, kwargs or {})
        return found.as_subclass(torch.Tensor) if func is torch.Tensor.cpu else found


def test_predictions_on_a_device():
    samples = [as_tested(entry) for entry in simulate_lesions(2, 1)]
    wanted = evaluate(samples)
    for sample in samples:
        sample['pred_instances'] = {
            key: torch.as_tensor(value).as_subclass(OnDevice)
            for key, value in sample['pred_instances'].items()
        }
    assert evaluate(samples) == wanted


def test_figures_are_means_over_the_slices():
    entries = simulate_lesions(4, 2)
    entries.append(
        dict(
            entries[0],
            instances=[],
            pred_instances=dict(labels=torch.zeros(0), scores=torch.zeros(0), masks=[]),
        )
    )  # counts 1
    precision = np.mean(
        [
            per_image_ap(
                decode([item['mask'] for item in entry['instances']]),
                np.array([item['bbox_label'] for item in entry['instances']]),
                decode(entry['pred_instances']['masks']),
                entry['pred_instances']['labels'].numpy(),
                entry['pred_instances']['scores'].numpy(),
            )
            for entry in entries
        ],
        axis=0,
    )
    expected = {
        'per_image/segm_mAP': precision.mean(),
        'per_image/segm_mAP_50': precision[0],
        'per_image/segm_mAP_75': precision[5],
    }
    assert evaluate(entries) == pytest.approx(expected)
    assert evaluate([as_tested(entry) for entry in entries]) == pytest.approx(expected)


def test_each_figure_can_choose_the_best_checkpoint():
    for key in evaluate(simulate_lesions(1, 1)):
        assert CheckpointHook(save_best=key).rules == ['greater']


def lesion_slice(img_id, masks, labels, found, classes, scores):
    """A slice of true and found lesions; masks are run-length encodings."""
    return dict(
        img_id=img_id,
        ori_shape=masks[0]['size'] if masks else (SIZE, SIZE),
        instances=[
            dict(bbox=[0, 0, 1, 1], bbox_label=int(label), ignore_flag=0, mask=mask)
            for label, mask in zip(labels, masks)
        ],
        pred_instances=dict(
            labels=torch.as_tensor(classes),
            scores=torch.as_tensor(scores),
            bboxes=torch.zeros(len(found), 4),
            masks=found,
        ),
    )


def three_slices():
    lungs, ggo = [box_mask(2, 2, 12, 30), box_mask(20, 2, 12, 30)], box_mask(4, 20, 8, 8)
    found = lungs, [0, 0], [0.9, 0.8]
    return [
        lesion_slice(0, lungs, [0, 0], *found),
        lesion_slice(1, [*lungs, ggo], [0, 0, 1], *found),
        lesion_slice(2, [], [], [], [], []),
    ]


def slices_of_the_release():
    vectors = np.load(VECTORS)
    values = (
        [
            vectors[f'{i}/{key}']
            for key in ('gt_masks', 'gt_labels', 'pred_masks', 'pred_labels', 'pred_scores')
        ]
        for i in range(10)
    )
    return [
        lesion_slice(  # lung is 1 there
            i,
            encode_mask_results(masks),
            labels - 1,
            encode_mask_results(found),
            classes - 1,
            scores,
        )
        for i, (masks, labels, found, classes, scores) in enumerate(values)
    ]


@pytest.mark.parametrize(
    ('samples', 'per_image', 'coco'),
    [
        (three_slices(), (1 + 2 / 3 + 1) / 3, (1 + 0) / 2),
        (slices_of_the_release(), np.load(VECTORS)['mAP'], 0.230),
        (simulate_lesions(20, 5, seed=1), 0.318, 0.242),
    ],
    ids=['three', 'release', 'simulated'],
)
def test_the_two_rulers_differ_as_the_documentation_says(samples, per_image, coco):
    assert evaluate(samples)['per_image/segm_mAP'] == pytest.approx(per_image, abs=5e-4)
    found = evaluate(samples, 'LesionMetric', metric='segm')['coco/segm_mAP']
    assert found == pytest.approx(coco, abs=5e-4)


def test_masks_of_another_size_are_refused_by_name():
    entry = as_tested(simulate_lesions(1, 1)[0])
    entry['pred_instances'] = dict(
        labels=torch.tensor([0]),
        scores=torch.tensor([0.5]),
        masks=torch.ones(1, SIZE // 2, SIZE // 2, dtype=torch.bool),
    )
    with pytest.raises(ValueError, match='0.png: masks of different sizes'):
        evaluate([entry])


@pytest.mark.parametrize('key', ['gt_instances', 'pred_instances'])
def test_slices_without_lesion_masks_are_refused_by_name(key):
    entry = as_tested(simulate_lesions(1, 1)[0])
    del entry[key]
    with pytest.raises(ValueError, match='0.png lacks true or predicted lesions'):
        evaluate([entry])
    with pytest.raises(ValueError, match='no slice to score'):
        evaluate([])
