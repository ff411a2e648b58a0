import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures.bbox import bbox_overlaps
from mmengine.structures import InstanceData
from models_utils import SIZE, cls_sample

NUM_ROIS, IOU = 12, 0.3


@pytest.fixture
def head(load_config):
    torch.manual_seed(0)
    config = load_config('phantom/covid-ct-mask-net_r18_fpn_phantom.py').model
    head = MODELS.build(
        dict(
            config.roi_head,
            roi_ranking=dict(num_rois=NUM_ROIS, iou_threshold=IOU),
            test_cfg=config.test_cfg.rcnn,
        )
    )
    head.bbox_head.fc_cls.weight.data.normal_()  # scores that differ
    return head


def proposals(*counts):
    generator = torch.Generator().manual_seed(1)
    corners = [torch.rand(n, 2, generator=generator) * SIZE / 2 for n in counts]
    return [InstanceData(bboxes=torch.cat([xy, xy + 30], dim=1)) for xy in corners]


def features(num):
    torch.manual_seed(2)
    return tuple(torch.randn(num, 64, SIZE // s, SIZE // s) for s in (4, 8, 16, 32))


def all_regions(head, x, boxes):
    """Scores (n, K), deltas (n, K, 4) and decoded boxes (n, K, 4) of a slice's proposals."""
    rois = torch.cat([torch.zeros(len(boxes), 1), boxes], dim=1)
    logits, deltas = head.bbox_head(head.bbox_roi_extractor(x, rois))
    decoded = head.bbox_head.bbox_coder.decode(
        boxes.repeat_interleave(2, 0), deltas.view(-1, 4), max_shape=(SIZE, SIZE)
    )
    return logits.softmax(1)[:, :-1], deltas.view(-1, 2, 4), decoded.view(-1, 2, 4)


def test_regions_are_scores_and_raw_outputs_best_first(head):
    x, (found,) = features(1), proposals(20)
    ranked = head.rank_rois(x, [found], [cls_sample()])
    assert ranked.shape == (1, NUM_ROIS, 5)
    scores, deltas, boxes = all_regions(head, x, found.bboxes)
    everything = torch.cat([scores[..., None], deltas], dim=2).flatten(0, 1)
    places = [(everything - row).abs().sum(1).argmin().item() for row in ranked[0]]
    torch.testing.assert_close(everything[places], ranked[0])
    assert len(set(places)) == NUM_ROIS
    assert (ranked[0, :, 0].diff() <= 0).all()
    assert places[0] == everything[:, 0].argmax()
    for label in (0, 1):  # NMS by class
        own = boxes.flatten(0, 1)[[place for place in places if place % 2 == label]]
        overlaps = bbox_overlaps(own, own).fill_diagonal_(0)
        assert overlaps.max() <= IOU


@pytest.mark.parametrize('count', [0, 1, 3])
def test_missing_regions_are_zeros(head, count):
    x, (found,) = features(1), proposals(count)
    ranked = head.rank_rois(x, [found], [cls_sample()])[0]
    present = (ranked[:, 0] > 0).sum().item()
    assert present <= 2 * count and (present > 0) == (count > 0)
    assert not ranked[present:].any()
    assert torch.equal(ranked, head.rank_rois(x, [found], [cls_sample()])[0])


def test_slices_of_a_batch_are_ranked_by_themselves(head):
    x, found = features(3), proposals(20, 0, 2)
    together = head.rank_rois(x, found, [cls_sample()] * 3)
    for i, own in enumerate(found):
        alone = head.rank_rois(tuple(feat[i : i + 1] for feat in x), [own], [cls_sample()])
        torch.testing.assert_close(together[i], alone[0])


def test_gradient_reaches_the_features(head):
    x = [feat.requires_grad_() for feat in features(1)]
    head.rank_rois(tuple(x), proposals(20), [cls_sample()]).sum().backward()
    assert x[0].grad.any()
