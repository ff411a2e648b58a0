import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from mmcovid.apis.conversion import to_slice_result


def test_everything_is_there_as_arrays():
    sample = DetDataSample(metainfo=dict(img_path='a#003', window=(40, 400)))
    sample.pred_instances = InstanceData(
        masks=torch.ones(2, 4, 5, dtype=torch.bool),
        labels=torch.tensor([0, 2]),
        bboxes=torch.ones(2, 4),
        scores=torch.tensor([0.9, 0.2]),
    )
    sample.pred_score, sample.pred_logits = torch.tensor([0.1, 0.9]), torch.tensor([-1.0, 2.0])
    sample.roi_sequence = InstanceData(
        bboxes=torch.zeros(3, 4),
        labels=torch.tensor([1, 1, 2]),
        scores=torch.ones(3),
        attention=torch.ones(3, 2),
    )
    result = to_slice_result(sample)
    assert (result.path, result.window) == ('a#003', (40, 400))
    assert result.lesions.masks.shape == (2, 4, 5) and result.lesions.masks.dtype == bool
    assert result.lesions.labels.tolist() == [0, 2]
    np.testing.assert_allclose(result.class_scores, [0.1, 0.9], rtol=1e-6)
    assert result.class_logits.tolist() == [-1, 2]
    assert result.roi_sequence.labels.tolist() == [1, 1, 2]
    assert result.roi_sequence.attention.shape == (3, 2)
    parts = [vars(part).values() for part in (result.lesions, result.roi_sequence)]
    assert all(isinstance(array, np.ndarray) for part in parts for array in part)


def test_what_a_model_does_not_tell_is_none():
    sample = DetDataSample(metainfo=dict(img_path='a.png'))
    assert set(vars(to_slice_result(sample)).values()) == {'a.png', None}
    sample.pred_instances = InstanceData(
        bboxes=torch.ones(1, 4), labels=torch.tensor([1]), scores=torch.ones(1)
    )
    assert to_slice_result(sample).lesions is None  # without masks
    sample.pred_instances.masks = torch.zeros(1, 3, 3, dtype=torch.bool)
    assert len(to_slice_result(sample).lesions.labels) == 1
