import numpy as np
import torch

from mmcovid.datasets.transforms import PackSliceInputs


def results(**keys):
    return dict(
        img=np.zeros((4, 6, 3), np.float32),
        img_path=None,
        img_shape=(4, 6),
        ori_shape=(8, 12),
        scale_factor=(0.5, 0.5),
        **keys,
    )


def test_class_labelled_slice():
    packed = PackSliceInputs()(
        results(task='cls', patient_id='7', scan_id='71', img_id='a.png', gt_label=2)
    )
    sample = packed['data_samples']
    assert packed['inputs'].shape == (3, 4, 6)
    assert sample.gt_label.dtype == torch.int64 and sample.gt_label.tolist() == [2]
    assert (sample.task, sample.patient_id, sample.scan_id) == ('cls', '7', '71')
    assert sample.img_id == 'a.png' and sample.ori_shape == (8, 12)


def test_slice_without_label_or_ids():
    """An array in inference has none of the keys that a dataset gives."""
    sample = PackSliceInputs()(results())['data_samples']
    assert 'gt_label' not in sample
    assert sample.img_path is None
    assert not {'task', 'patient_id', 'scan_id', 'flip'} & set(sample.metainfo_keys())


def test_meta_keys_can_be_chosen():
    sample = PackSliceInputs(meta_keys=('task',))(results(task='seg'))['data_samples']
    assert sample.metainfo == dict(task='seg')
