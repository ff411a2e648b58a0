import torch

from mmcovid.models.dense_heads.logit_ranked_rpn_head import _logits_of_ranks


def test_order_of_sure_logits_is_kept():
    logits = torch.tensor([[20.001, -5, 20, 19.999], [0, 1, 2, 3]]).view(2, 4, 1, 1)
    assert logits[0].sigmoid().unique().numel() == 2  # as float32 sees them
    scores = _logits_of_ranks([logits])[0].sigmoid()
    torch.testing.assert_close(
        scores, torch.tensor([[0.8, 0.2, 0.6, 0.4], [0.2, 0.4, 0.6, 0.8]]).view(2, 4, 1, 1)
    )


def test_levels_are_ranked_together():
    coarse, fine = torch.tensor([5.0, 1]).view(1, 2, 1, 1), torch.tensor([4.0, 6]).view(1, 1, 1, 2)
    scores = [level.sigmoid() for level in _logits_of_ranks([fine, coarse])]
    torch.testing.assert_close(scores[0].flatten(), torch.tensor([0.4, 0.8]))
    torch.testing.assert_close(scores[1].flatten(), torch.tensor([0.6, 0.2]))
    assert [level.shape for level in scores] == [fine.shape, coarse.shape]
