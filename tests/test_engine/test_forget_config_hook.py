import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmcovid.cli.runner import build_runner


@pytest.fixture
def runner(tmp_path, monkeypatch):
    """A runner as commands build it, without a model of its own."""
    model = torch.nn.Linear(1, 1)
    monkeypatch.setattr(Runner, 'build_model', lambda self, _: model)
    cfg = Config(dict(model={}, work_dir=str(tmp_path), default_scope='mmdet', launcher='none'))
    return build_runner(cfg)


def test_a_config_in_a_checkpoint_is_not_run_when_it_is_resumed(runner, tmp_path):
    file = tmp_path / 'iter_1.pth'
    state_dict = dict(weight=torch.zeros(1, 1), bias=torch.zeros(1))
    meta = dict(epoch=0, iter=1, config='raise SystemExit')
    torch.save(dict(state_dict=state_dict, meta=meta), file)
    # of MMEngine's resume, all that comes before it would run the config
    assert 'config' not in runner.load_checkpoint(str(file))['meta']
