import pytest
import torch
from mmdet.registry import MODELS
from mmengine.optim import OptimWrapper
from models_utils import cls_sample, slices, test_batch


@pytest.fixture
def build(load_config):

    def build_model(path='phantom/classifier_r18_phantom.py'):
        torch.manual_seed(0)
        model = MODELS.build(load_config(path).model)
        model.init_weights()
        return model

    return build_model


def test_all_of_it_learns(build):
    model = build()
    before = {k: v.clone() for k, v in model.named_parameters()}
    optim_wrapper = OptimWrapper(torch.optim.Adam(model.parameters(), lr=1e-3))
    losses = [
        model.train_step(
            test_batch([cls_sample(label=i % 3, seed=i) for i in range(6)]), optim_wrapper
        )['loss_image'].item()
        for _ in range(6)
    ]
    assert losses[-1] < 0.7 * losses[0]
    assert not any(torch.equal(v, before[k]) for k, v in model.named_parameters())


def test_results(build):
    model = build().eval()
    together = model.test_step(test_batch([cls_sample(seed=i) for i in range(3)]))
    for i, img in enumerate(slices(3)):
        result = together[i]
        assert result.pred_label.tolist() == [result.pred_logits.argmax().item()]
        assert result.pred_score.sum().item() == pytest.approx(1)
        assert 'pred_instances' not in result
        (alone,) = model.test_step(dict(inputs=[img], data_samples=[cls_sample(seed=i)]))
        torch.testing.assert_close(result.pred_logits, alone.pred_logits, atol=1e-5, rtol=1e-4)


def test_tensor_mode(build):
    model = build().eval()
    data = model.data_preprocessor(test_batch([cls_sample(), cls_sample(seed=1)]), False)
    assert model(**data, mode='tensor').shape == (2, 3)
