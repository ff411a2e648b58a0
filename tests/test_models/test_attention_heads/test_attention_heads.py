from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample

from mmcovid.checkpoints.author import MODULES
from mmcovid.models import AffinityHead, LSTMAttentionHead, RoIAttentionHead
from mmcovid.registry import MODELS

DATA = Path(__file__).parents[2] / 'data'
SMALL = dict(num_rois=4, in_channels=8, roi_size=8, hidden_channels=5)
HEADS = {
    'attn': lambda **kw: RoIAttentionHead(**SMALL, **kw),
    'affinity': lambda **kw: AffinityHead(**SMALL, num_affinities=3, **kw),
    'lstm1': lambda **kw: LSTMAttentionHead(**SMALL, num_branches=1, lstm_channels=6, **kw),
    'lstm2': lambda **kw: LSTMAttentionHead(**SMALL, num_branches=2, lstm_channels=6, **kw),
}


@pytest.fixture(params=HEADS)
def head(request):
    torch.manual_seed(0)
    return HEADS[request.param]()


def _samples(labels):
    samples = []
    for label in labels:
        sample = DetDataSample(metainfo=dict(img_path='slice.png'))
        if label is not None:
            sample.gt_label = torch.tensor([label])
        samples.append(sample)
    return samples


def test_reproduces_the_released_attention_layer():
    """LSTM-2 with batch statistics, without the linear layer of Eq. 16."""
    vectors = {k: torch.from_numpy(v) for k, v in np.load(DATA / 'attention_layer.npz').items()}
    head = LSTMAttentionHead(
        16, 8, num_branches=2, lstm_channels=6, hidden_channels=5, context_filter=False
    ).train()
    names = {
        target.removeprefix('attention_head.'): source.removeprefix('attn_layer.')
        for source, target in MODULES.items()
        if target.startswith('attention_head.')
    }
    state = {}
    for key in head.state_dict():
        module, _, parameter = key.rpartition('.')
        if f'{names[module]}.{parameter}' in vectors:
            state[key] = vectors[f'{names[module]}.{parameter}']
    missing, unexpected = head.load_state_dict(state, strict=False)
    assert not unexpected
    assert all('running' in key or 'tracked' in key for key in missing)

    rois = vectors['mask_features']
    with torch.no_grad():
        refined = head.refinement(rois)
        x = head.vectorization(refined).unflatten(0, (1, 16))
        (p1, _), (p2, _) = head.pool(x)
        logits, attention = head(rois)
    torch.testing.assert_close(refined[:2], vectors['refined_features'], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(p1, vectors['p1'][0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(p2, vectors['p2'][0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(logits, vectors['logits'], rtol=1e-4, atol=1e-4)
    assert attention.shape == (1, 16, 2)


def test_slices_of_a_batch_do_not_influence_each_other(head):
    rois = torch.randn(12, 8, 8, 8)
    logits, attention = head(rois)
    singles = [head(part) for part in rois.split(4)]
    torch.testing.assert_close(logits, torch.cat([s[0] for s in singles]), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(attention, torch.cat([s[1] for s in singles]), rtol=1e-4, atol=1e-4)


def test_loss_is_binary_cross_entropy_on_the_one_hot_label(head):
    rois = torch.randn(8, 8, 8, 8)
    losses = head.loss(rois, _samples([2, 0]))
    logits, _ = head(rois)
    target = torch.nn.functional.one_hot(torch.tensor([2, 0]), 3).float()
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, target)
    torch.testing.assert_close(losses['loss_image'], expected)
    share = (logits.argmax(1) == torch.tensor([2, 0])).float().mean() * 100
    assert losses['acc_image'] == share


def test_predictions_agree_with_each_other(head):
    results = head.predict(torch.randn(8, 8, 8, 8))
    assert len(results) == 2
    for result in results:
        sigmoids = result['logits'].sigmoid()
        torch.testing.assert_close(result['score'], sigmoids / sigmoids.sum())
        assert result['label'].shape == (1,)
        assert result['label'].item() == result['logits'].argmax().item()
        torch.testing.assert_close(head.classify(result['vector'][None])[0], result['logits'])
        assert result['attention'].shape[0] == 4
        torch.testing.assert_close(
            result['attention'].sum(0), torch.ones(result['attention'].shape[1:])
        )


def test_scores_of_hopeless_logits_still_sum_to_one(head):
    for classifier in head.classifiers:
        torch.nn.init.zeros_(classifier[-1].weight)
    head.classifiers[0][-1].bias.data = torch.tensor([-300.0, -200.0, -250.0])
    score = head.predict(torch.randn(4, 8, 8, 8))[0]['score']
    torch.testing.assert_close(score, torch.tensor([0.0, 1.0, 0.0]))


def test_unlabelled_slice_is_named(head):
    with pytest.raises(ValueError, match='slice.png'):
        head.loss(torch.randn(8, 8, 8, 8), _samples([1, None]))


def test_affinities_mix_the_rois():
    head = HEADS['affinity']()
    matrix = head.affinity_matrix.weight.T  # W, β×A
    vector = head.affinity_vector.weight.T  # w, A×1
    assert (matrix.shape, vector.shape) == ((4, 3), (3, 1))
    x = torch.randn(2, 4, 8)
    ((features, weights),) = head.pool(x)
    for each, feature in zip(x, features):
        torch.testing.assert_close(feature, ((matrix.T @ each).T @ vector).flatten())
    assert torch.equal(weights[0], weights[1])
    assert (weights >= 0).all()
    # the RoI of the largest weight matters most
    changes = [(head.pool(x + torch.eye(4)[i][:, None])[0][0] - features).norm() for i in range(4)]
    assert torch.stack(changes).argmax() == weights[0].argmax()


@pytest.mark.parametrize('norm_cfg', [dict(type='BN'), dict(type='BN', requires_grad=False)])
def test_ordinary_batch_norm_is_an_option(norm_cfg):
    head = HEADS['lstm1'](norm_cfg=norm_cfg).eval()
    assert type(head.vectorization.bn1) is torch.nn.BatchNorm2d
    assert head(torch.randn(4, 8, 8, 8))[0].shape == (1, 3)


@pytest.mark.parametrize('num_refinements', [0, 1, 3])
def test_number_of_refinement_stages(num_refinements):
    head = HEADS['attn'](num_refinements=num_refinements)
    assert len(head.refinement) == num_refinements
    assert head(torch.randn(4, 8, 8, 8))[0].shape == (1, 3)


def test_bad_options():
    with pytest.raises(ValueError, match='num_branches'):
        LSTMAttentionHead(**SMALL, num_branches=3)
    with pytest.raises(ValueError, match='num_rois'):
        RoIAttentionHead(1)


def test_initial_weights():
    head = MODELS.build(
        dict(type='mmcovid.LSTMAttentionHead', num_rois=4, in_channels=8, roi_size=8)
    )
    head.init_weights()
    branch = head.branches[0]
    for layer in (
        head.vectorization.conv1,
        head.vectorization.bn1,
        branch.query,
        branch.context_filter,
    ):
        assert (layer.bias == 0.01).all()
    assert (branch.lstm.bias_ih_l0 == 0.01).all() and (branch.lstm.bias_hh_l0 == 0.01).all()
    for linear in (branch.query, head.classifiers[0][0]):  # PyTorch's own
        assert linear.weight.abs().max() <= linear.in_features**-0.5
    assert head.classifiers[0][0].bias.unique().numel() > 1
    std = head.vectorization.conv3.weight.std().item()  # fan-out of 8 channels × 2 × 2
    assert std == pytest.approx((2 / 32) ** 0.5, rel=0.2)
