import pytest
import torch
from models_utils import cls_sample

from mmcovid.models import PooledLinearHead, RegionalFeaturesHead

HEADS = {
    'pooled': (lambda: PooledLinearHead(8), (2, 8, 5, 3)),
    'regional': (lambda: RegionalFeaturesHead(4, hidden_channels=6), (2, 4, 5)),
}


@pytest.fixture(params=HEADS)
def head_and_feats(request):
    torch.manual_seed(0)
    build, shape = HEADS[request.param]
    return build(), torch.randn(shape)


def test_loss_and_results_are_those_of_the_logits(head_and_feats):
    head, feats = head_and_feats
    samples = [cls_sample(label=2), cls_sample(label=0)]
    logits = head(feats)
    target = torch.nn.functional.one_hot(torch.tensor([2, 0]), 3).float()
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, target)
    torch.testing.assert_close(head.loss(feats, samples)['loss_image'], expected)
    for result, logit in zip(head.predict(feats), logits, strict=True):
        torch.testing.assert_close(result['logits'], logit)
        torch.testing.assert_close(result['score'], logit.sigmoid() / logit.sigmoid().sum())
        assert result['label'].tolist() == [logit.argmax().item()]
        torch.testing.assert_close(head.classify(result['vector'][None])[0], logit)


def test_unlabelled_slice_is_named(head_and_feats):
    head, feats = head_and_feats
    sample = cls_sample()
    del sample.gt_label
    with pytest.raises(ValueError, match='cls_0.png'):
        head.loss(feats, [cls_sample(), sample])


def test_order_of_the_rois_counts():
    torch.manual_seed(0)
    head, rois = RegionalFeaturesHead(4, hidden_channels=6), torch.randn(1, 4, 5)
    assert not torch.allclose(head(rois), head(rois.flip(1)))
