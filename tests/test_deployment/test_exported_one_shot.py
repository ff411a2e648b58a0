import pytest
import torch
from deployment_utils import SIZE, tiny_config, tiny_inferencer
from mmdet.structures import DetDataSample

from mmcovid.deployment.metadata import (
    IMAGE_OUTPUTS,
    LESION_OUTPUTS,
    ROI_OUTPUTS,
    VECTOR_OUTPUT,
)
from mmcovid.models.layers import FusedUpsample

exported_one_shot = pytest.importorskip('mmcovid.deployment.exported_one_shot')
ExportedOneShot = exported_one_shot.ExportedOneShot


@torch.no_grad()
def assert_as_the_model(model, seed=0):
    """In PyTorch the two are equal; returns the number of detections and the RoIs."""
    grey = torch.rand(1, *SIZE, generator=torch.Generator().manual_seed(seed)) * 255
    sample = DetDataSample(
        metainfo=dict(img_shape=SIZE, ori_shape=SIZE, scale_factor=(1.0, 1.0), task='seg')
    )
    wanted = model.test_step(dict(inputs=[grey.expand(3, -1, -1)], data_samples=[sample]))[0]
    exported = ExportedOneShot(model, SIZE)
    got = exported(grey, torch.zeros(1))
    assert tuple(got) == (*LESION_OUTPUTS, *IMAGE_OUTPUTS, VECTOR_OUTPUT, *ROI_OUTPUTS)
    found = wanted.pred_instances
    close = dict(rtol=1e-4, atol=1e-4)
    n = int(got['num_detections'])
    assert n == len(found)
    torch.testing.assert_close(got['boxes'][:n], found.bboxes, **close)
    torch.testing.assert_close(got['scores'][:n], found.scores, **close)
    assert got['labels'][:n].equal(found.labels)
    assert (got['labels'][n:] == -1).all()
    assert not any(got[name][n:].any() for name in ('boxes', 'scores', 'masks'))
    torch.testing.assert_close(got['logits'], wanted.pred_logits, **close)
    torch.testing.assert_close(got['class_scores'], wanted.pred_score, **close)
    sequence = wanted.roi_sequence
    for name, own in zip(ROI_OUTPUTS, ('bboxes', 'labels', 'scores', 'attention')):
        torch.testing.assert_close(got[name], sequence[own], **close)
    for name, tensor in exported(grey).items():  # only the class
        assert name not in LESION_OUTPUTS and tensor.equal(got[name])
    return n, sequence


@pytest.mark.parametrize(
    'name',
    [
        'one-shot_r18_fpn_lstm2_cncb',
        'one-shot_r18_fpn_lstm1_cncb',
        'one-shot_r18_fpn_attn_cncb',
        'one-shot_r18_fpn_affinity64_cncb',
        'one-shot_r18_fpn-s8_lstm2_cncb',  # several levels
    ],
)
def test_is_the_model(name):
    model = tiny_inferencer(tiny_config(name)).model
    assert any([assert_as_the_model(model, seed)[0] for seed in range(3)])


@pytest.mark.parametrize(
    'options',
    [
        {'model.roi_head.roi_sequence.order': 'score'},
        {'model.roi_head.roi_sequence.order': 'random'},
        {'model.attention_head.temperature': 1.7},
        {'model.test_cfg.rpn.min_bbox_size': 4},
        {
            'model.roi_head.bbox_roi_extractor.roi_layer.aligned': True,
            'model.roi_head.bbox_roi_extractor.roi_layer.sampling_ratio': 0,
        },
    ],
)
def test_options(options):
    assert_as_the_model(tiny_inferencer(tiny_config(**options)).model)


def test_proposals_ranked_by_their_scores():
    model = tiny_inferencer(tiny_config(**{'model.rpn_head.type': 'RPNHead'})).model
    model.rpn_head.rpn_cls.weight.data /= 10  # or many scores are 1, in no order
    assert_as_the_model(model)


def test_rois_are_repeated():
    model = tiny_inferencer(tiny_config(**{'model.roi_head.roi_sequence.num_rois': 100})).model
    _, sequence = assert_as_the_model(model)
    assert len(sequence.bboxes.unique(dim=0)) < 100


def test_rois_from_several_levels():
    config = tiny_config('one-shot_r18_fpn-s8_lstm2_cncb')
    for extractor in (
        config.model.roi_head.bbox_roi_extractor,
        config.model.roi_head.mask_roi_extractor,
    ):
        extractor.featmap_strides = [8, 16, 32]
        extractor.finest_scale = 10
    assert_as_the_model(tiny_inferencer(config).model)


def test_no_detection():
    model = tiny_inferencer(tiny_config()).model
    model.roi_head.bbox_head.fc_cls.bias.data[-1] = 100
    number, _ = assert_as_the_model(model)
    assert number == 0


def test_no_box_of_any_area_leaves_the_whole_slice():
    model = tiny_inferencer(tiny_config()).model
    head = model.roi_head.classification_branch.bbox_head
    head.fc_reg.weight.data.zero_()
    head.fc_reg.bias.data.fill_(-1e4)  # so thin that no area is left
    _, sequence = assert_as_the_model(model)
    assert sequence.bboxes.tolist() == [[0, 0, SIZE[1], SIZE[0]]] * 4
    assert not sequence.scores.any()


@pytest.mark.parametrize(
    'options, reason',
    [
        ({'model.test_cfg.rcnn.nms.type': 'soft_nms'}, 'NMS of another type'),
        ({'model.test_cfg.rcnn.max_per_img': -1}, 'no limit of boxes'),
        ({'model.test_cfg.rcnn.mask_thr_binary': -1}, 'grey masks'),
    ],
)
def test_what_cannot_be_exported_is_told(options, reason):
    model = tiny_inferencer(tiny_config(**options)).model
    with pytest.raises(ValueError, match=f'cannot be exported: it has .*{reason}'):
        ExportedOneShot(model, SIZE)


def test_upsampling_fused_once():
    torch.manual_seed(0)
    deconv, conv = torch.nn.ConvTranspose2d(5, 6, 2, stride=2), torch.nn.Conv2d(6, 7, 3, padding=1)
    x = torch.randn(2, 5, 4, 4)
    torch.testing.assert_close(
        FusedUpsample(deconv, conv)(x), conv(deconv(x)), **dict(rtol=1e-4, atol=1e-5)
    )
