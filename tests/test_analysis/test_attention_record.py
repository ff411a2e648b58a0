import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from models_utils import cls_sample, seg_sample, test_batch

from mmcovid.analysis.attention.record import check_attention, record_slices, recorded_features
from mmcovid.classes import DEFAULT


@pytest.fixture(scope='module')
def build(repo):
    """Build a model of a config, of four RoIs."""
    from mmengine.config import Config
    from mmengine.registry import init_default_scope

    def make(path, **options):
        init_default_scope('mmdet')
        config = Config.fromfile(repo / 'configs' / path)
        config.model.backbone.init_cfg = None
        config.merge_from_dict(options)
        torch.manual_seed(0)
        return MODELS.build(config.model).eval()

    return make


@pytest.fixture(scope='module')
def model(build):
    made = build(
        'phantom/one-shot_r18_fpn_lstm2_phantom.py',
        **{'model.roi_head.roi_sequence.num_rois': 4, 'model.test_cfg.detect_cls_slices': True},
    )
    made.test_cfg.rcnn.max_per_img = 6
    return made


def test_slices_are_recorded(model):
    samples = {}
    batches = [
        test_batch([cls_sample(label=2), seg_sample(seed=1)]),
        test_batch([seg_sample(num_lesions=0, seed=2)], seed=2),
    ]
    slices = record_slices(
        model, batches, DEFAULT, counts=(1, 2, 3), draws=2, on_sample=samples.__setitem__
    )
    assert list(samples) == [0, 1, 2]
    assert [(each.task, each.truth) for each in slices] == [
        ('cls', 2),
        ('seg', None),
        ('seg', None),
    ]
    for each, sample in zip(slices, samples.values()):
        assert each.img_path == sample.img_path and each.pred == int(sample.pred_label)
        np.testing.assert_array_equal(each.boxes, sample.roi_sequence.bboxes)
        np.testing.assert_allclose(each.weights, sample.roi_sequence.attention, atol=1e-6)
        np.testing.assert_allclose(each.weights.sum(0), 1, atol=1e-5)
        assert {(d.ranking, d.dropped) for d in each.deletions} == {
            (name, k)
            for k in (1, 2)
            for name in ('class-relevant', 'class-irrelevant', 'detection score', 'random')
        }
    assert np.isnan(slices[0].in_lesion).all() and np.isnan(slices[2].in_lesion).all()
    in_lesion = slices[1].in_lesion
    assert in_lesion.min() >= 0 and in_lesion.max() <= 1
    assert set(slices[1].centred) <= {0.0, 1.0}


def test_share_in_true_lesions(model):
    sample = seg_sample(num_lesions=2, seed=3)
    sample.gt_instances.masks.masks[:] = 0
    sample.gt_instances.masks.masks[1] = 1  # GGO everywhere
    (each,) = record_slices(model, [test_batch([sample])], DEFAULT, counts=())
    np.testing.assert_allclose(each.in_lesion, 1)
    np.testing.assert_allclose(each.centred, 1)
    assert each.deletions == []


def test_features_are_kept_only_meanwhile(model):
    feats = torch.rand(2 * 4, 128, 28, 28)
    with pytest.raises(RuntimeError), recorded_features(model.attention_head) as kept:
        model.attention_head(feats)
        raise RuntimeError
    assert kept[0] is feats
    model.attention_head(feats)
    assert len(kept) == 1


@pytest.mark.parametrize(
    'path, message',
    [
        ('phantom/one-shot_r18_fpn_affinity64_phantom.py', 'the Affinity model has no attention'),
        ('phantom/mask-rcnn_r18_fpn_phantom.py', 'has no attention head'),
        ('phantom/classifier_r18_phantom.py', 'has no attention head'),
    ],
)
def test_models_without_attention_are_refused(build, path, message):
    with pytest.raises(ValueError, match=message):
        check_attention(build(path))
