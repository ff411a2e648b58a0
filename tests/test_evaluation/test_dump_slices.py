import pickle

import numpy as np
import pycocotools.mask as mask_utils
import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import ConfigDict
from mmengine.registry import METRICS
from mmengine.structures import InstanceData

from mmcovid.analysis.evaluation.load import load_dump
from mmcovid.classes import Classes
from mmcovid.evaluation import DumpSlices

META = dict(classes=('lung', 'ggo', 'consolidation'), image_classes=('normal', 'cp', 'covid19'))


def lesion_sample(mask_size=(20, 30)):
    """A slice of 20×30 pixels with one true and one predicted lesion."""
    masks = np.zeros((1, *mask_size), np.uint8)
    masks[0, 5:10, 4:12] = 1
    sample = DetDataSample(
        metainfo=dict(img_id=3, img_path='a.png', ori_shape=(20, 30), task='seg', patient_id='7')
    )
    sample.gt_instances = InstanceData(
        labels=torch.tensor([2]),
        bboxes=torch.tensor([[4.0, 5.0, 12.0, 10.0]]),
        masks=BitmapMasks(masks, *mask_size),
    )
    sample.pred_instances = InstanceData(
        labels=torch.tensor([2]),
        scores=torch.tensor([0.8]),
        bboxes=torch.tensor([[4.0, 5.0, 12.0, 9.0]]),
        masks=torch.zeros(1, 20, 30, dtype=torch.bool),
    )
    sample.pred_label, sample.pred_score = torch.tensor([1]), torch.tensor([0.2, 0.5, 0.3])
    return sample


def slice_sample():
    sample = DetDataSample(
        metainfo=dict(
            img_id='b.png',
            img_path='x/b.png',
            ori_shape=(20, 30),
            task='cls',
            patient_id='8',
            scan_id='9',
        )
    )
    sample.gt_label, sample.pred_label = torch.tensor([1]), torch.tensor([2])
    sample.pred_logits = torch.tensor([-1.0, 0.0, 1.0])
    sample.pred_score = torch.tensor([0.2, 0.3, 0.5])
    return sample


def dump(samples, path, meta=META):
    metric = METRICS.build(dict(type='mmcovid.DumpSlices', out_file_path=str(path)))
    metric.dataset_meta = meta
    metric.process({}, [sample.to_dict() for sample in samples])
    assert metric.evaluate(len(samples)) == {}


def test_dump_holds_what_an_evaluation_needs(tmp_path):
    dump([lesion_sample(), slice_sample()], tmp_path / 'a.pkl')
    lesion, labelled = pickle.loads((tmp_path / 'a.pkl').read_bytes())
    assert 'gt_instances' not in lesion
    (instance,) = lesion['instances']
    assert instance['bbox'] == [4, 5, 12, 10] and instance['bbox_label'] == 2
    assert mask_utils.decode(instance['mask'])[5:10, 4:12].all()
    assert mask_utils.area(instance['mask']) == 5 * 8
    assert (labelled['patient_id'], labelled['scan_id'], labelled['task']) == ('8', '9', 'cls')
    assert labelled['pred_logits'].tolist() == [-1, 0, 1]

    read = load_dump(tmp_path / 'a.pkl')
    assert read.classes.image_names == META['image_classes']
    assert read.classes.lesion_names == META['classes']
    assert (len(read.slices), len(read.lesions), read.left_out) == (1, 1, {})


def test_dump_tells_what_classes_are_and_how_they_look(tmp_path):
    meta = ConfigDict(
        classes=['ggo', 'chest'],
        image_classes=META['image_classes'],
        roles=dict(chest='lung'),
        palette=[[1, 2, 3], [4, 5, 6]],
        display_names=dict(cp='CAP'),
    )
    for name, known in (('own', meta), ('usual', META)):
        dump([slice_sample()], tmp_path / f'{name}.pkl', known)
        (labelled,) = pickle.loads((tmp_path / f'{name}.pkl').read_bytes())
        assert labelled['lesion_classes'] == tuple(known['classes'])
        assert load_dump(tmp_path / f'{name}.pkl').classes == Classes.from_meta(known)


def test_lesion_metric_scores_the_dump(tmp_path):
    dump([lesion_sample()], tmp_path / 'a.pkl')
    metric = METRICS.build(dict(type='mmcovid.LesionMetric', metric='bbox', classwise=True))
    metric.dataset_meta = META
    metric.process({}, pickle.loads((tmp_path / 'a.pkl').read_bytes()))
    assert metric.evaluate(1)['coco/bbox_mAP_50'] == 1


def test_truth_in_another_size_is_refused(tmp_path):
    metric = DumpSlices(out_file_path=str(tmp_path / 'a.pkl'))
    with pytest.raises(ValueError, match='a.png.*LoadAnnotations after Resize'):
        metric.process({}, [lesion_sample((40, 60)).to_dict()])
