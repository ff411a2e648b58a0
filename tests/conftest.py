import os
from pathlib import Path

# Before PyTorch is imported. Processes side by side get a thread each: several threads
# of several processes on the same cores would mostly wait for each other.
os.environ.setdefault('OMP_NUM_THREADS', '1' if 'PYTEST_XDIST_WORKER' in os.environ else '2')

import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope

import mmcovid  # noqa: F401 - configs of the documentation inherit by its prefix

init_default_scope('mmdet')  # for fixtures of a module, which are made before that of a test
REPO = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def default_scope():
    """What a runner does before it builds anything."""
    init_default_scope('mmdet')


@pytest.fixture(scope='session')
def repo():
    """Root of the repository."""
    return REPO


@pytest.fixture
def load_config():
    """Load a config by its path below ``configs/``, without pretrained weights."""

    def load(path='one_shot/one-shot_r18_fpn_lstm2_cncb.py', **options):
        config = Config.fromfile(REPO / 'configs' / path)
        config.model.backbone.init_cfg = None
        config.merge_from_dict(options)
        return config

    return load
