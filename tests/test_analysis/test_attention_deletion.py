import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mmcovid.analysis.attention.deletion import delete_rois, plan_drops, refill
from mmcovid.models.attention_heads import LSTMAttentionHead, RoIAttentionHead
from mmcovid.models.roi_heads import select_roi_sequence

NUM_ROIS = 8


def select(boxes, scores, order):
    """The sequence as the RoI head makes it, of boxes of one class."""
    return select_roi_sequence(
        torch.from_numpy(boxes)[:, None],
        torch.from_numpy(scores)[:, None],
        (500, 500),
        num_rois=NUM_ROIS,
        order=order,
    )


@settings(deadline=None)
@given(st.data(), st.sampled_from(['distance', 'score']))
def test_refilled_as_the_roi_head_does(data, order):
    cells = data.draw(
        st.lists(st.integers(0, 99), min_size=NUM_ROIS, max_size=NUM_ROIS, unique=True)
    )
    corners = np.array([[40.0 * (i % 10) + i / 9, 40.0 * (i // 10)] for i in cells])  # no overlaps
    scores = np.array(data.draw(st.permutations(range(NUM_ROIS)))) / NUM_ROIS + 0.05
    whole = select(np.hstack([corners, corners + 30]), scores, order)
    boxes, scores = whole.bboxes.numpy(), whole.scores.numpy()
    np.testing.assert_array_equal(
        refill(np.arange(NUM_ROIS), scores, NUM_ROIS, order), np.arange(NUM_ROIS)
    )

    kept = np.array(sorted(data.draw(st.sets(st.integers(0, NUM_ROIS - 1), min_size=1))))
    expected = select(boxes[kept], scores[kept], order)
    places = refill(kept, scores, NUM_ROIS, order)
    np.testing.assert_allclose(boxes[places], expected.bboxes.numpy())


def test_what_is_dropped():
    places, weights = np.array([0, 1, 3, 4, 6]), np.array([0.1, 0.5, 0.2, 0.15, 0.05])
    drops = plan_drops(dict(a=weights), places, (1, 3, 4), 2, np.random.default_rng(0))
    chosen = [(name, end, sorted(dropped.tolist())) for name, end, dropped in drops]
    assert chosen[:2] == [('a', 'top', [1]), ('a', 'bottom', [6])]
    assert chosen[4:6] == [('a', 'top', [1, 3, 4]), ('a', 'bottom', [0, 4, 6])]
    assert [end for _, end, _ in chosen[2:4]] == ['random'] * 2
    assert len(drops) == 8  # of five RoIs four cannot be dropped
    assert all(
        set(dropped) <= set(places) and len(set(dropped)) == len(dropped) for _, _, dropped in drops
    )


class Reader(nn.Module):
    """A head that finds class 1 if a RoI of value 5 is there, and counts its sequences."""

    def __init__(self):
        super().__init__()
        self.seen = 0

    def predict(self, feats):
        sequences = feats.flatten(1).mean(1).view(-1, NUM_ROIS)
        self.seen += len(sequences)
        return [
            dict(
                label=torch.tensor([int((s == 5).any())]),
                logits=torch.tensor([0.0, (s == 5).any() * 2.0, 0.0]),
                score=torch.tensor([0.5, 0.2 + 0.6 * (s == 5).any(), 0.0]),
            )
            for s in sequences
        ]


def sequence():
    feats = torch.arange(NUM_ROIS).float()[:, None, None, None].expand(-1, 1, 2, 2)
    boxes = np.arange(NUM_ROIS)[:, None] * np.ones(4)
    return feats, boxes, np.linspace(0.9, 0.2, NUM_ROIS)


def table_of(deletions):
    return {(d.ranking, d.end, d.dropped): d for d in deletions}


def test_faithful_weights_are_told_from_others():
    feats, boxes, scores = sequence()
    weights = np.full(NUM_ROIS, 0.1)
    weights[5] = 0.3
    rows = table_of(
        delete_rois(
            Reader(), feats, boxes, scores, dict(right=weights, wrong=-weights), (1, 2, 8), draws=40
        )
    )
    top, bottom = rows['right', 'top', 1], rows['right', 'bottom', 1]
    assert (top.flipped, bottom.flipped) == (1, 0)
    assert top.score_drop == pytest.approx(0.6) and top.logit_drop == pytest.approx(2)
    assert bottom.score_drop == pytest.approx(0)
    assert rows['wrong', 'top', 1].flipped == 0 and rows['wrong', 'bottom', 1].flipped == 1
    assert rows['random', 'random', 2].flipped == pytest.approx(2 / 8, abs=0.2)
    assert ('detection score', 'top', 1) in rows and ('right', 'top', 8) not in rows


def test_repeats_of_a_roi_are_dropped_together():
    feats, boxes, scores = sequence()
    feats = feats.clone()
    feats[3], boxes[3], scores[3] = feats[5], boxes[5], scores[5]  # one RoI at two places
    weights = np.full(NUM_ROIS, 0.11)
    weights[[3, 5]] = 0.1  # 0.2 together
    rows = table_of(delete_rois(Reader(), feats, boxes, scores, dict(a=weights), (1, 5, 6), 2))
    assert rows['a', 'top', 1].flipped == 1
    assert ('a', 'top', 5) in rows and ('a', 'top', 6) not in rows  # of seven, two are left


def test_equal_sequences_are_classified_once():
    feats, boxes, scores = sequence()
    head = Reader()
    first = delete_rois(head, feats, boxes, scores, dict(a=scores), (1,), draws=30, batch_size=3)
    assert head.seen <= 1 + NUM_ROIS
    assert first == delete_rois(head, feats, boxes, scores, dict(a=scores), (1,), draws=30)
    drawn = [
        delete_rois(head, feats, boxes, scores, {'a': scores}, (2,), draws=3, seed=(seed, 0))
        for seed in range(8)
    ]
    assert any(each != drawn[0] for each in drawn)


@pytest.mark.parametrize(
    'head', [LSTMAttentionHead(NUM_ROIS, 8, lstm_channels=6), RoIAttentionHead(NUM_ROIS, 8)]
)
def test_heads_of_the_model(head):
    torch.manual_seed(0)
    head.eval()
    feats, scores = torch.rand(NUM_ROIS, 8, 28, 28), np.linspace(0.1, 0.9, NUM_ROIS)
    boxes = np.arange(NUM_ROIS)[:, None] * np.ones(4)
    weights = np.random.default_rng(0).permutation(NUM_ROIS) / 28
    rows = table_of(delete_rois(head, feats, boxes, scores, dict(a=weights), (2,), 1))
    kept = np.sort(np.argsort(weights)[:-2])
    with torch.no_grad():
        before = head.predict(feats)[0]
        after = head.predict(feats[refill(kept, scores, NUM_ROIS)])[0]
    label = int(before['label'])
    assert rows['a', 'top', 2].score_drop == pytest.approx(
        float(before['score'][label] - after['score'][label]), abs=1e-5
    )
    assert rows['a', 'top', 2].logit_drop != 0
    assert not feats.requires_grad


def test_a_single_roi_tells_nothing():
    """Why at least two are kept: the common statistics leave nothing of a single RoI."""
    torch.manual_seed(0)
    head = LSTMAttentionHead(NUM_ROIS, 8, lstm_channels=6).eval()

    def difference(num):
        rois = torch.rand(2, num, 8, 28, 28).repeat(1, NUM_ROIS // num, 1, 1, 1)
        with torch.no_grad():
            one, other = head(rois.flatten(0, 1))[0]
        return (one - other).abs().max()

    assert difference(1) < 1e-2 < difference(2)
