import json

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import save_checkpoint
from tools_utils import TOOLS

from mmcovid.cli import shortcut as shortcut_test
from mmcovid.data_tools.phantom.dataset import SplitSize, write_phantom_set


@pytest.fixture(scope='module', params=['classifier_r18', 'one-shot_r18_fpn_lstm2'])
def setting(request, tmp_path_factory):
    """Data, and a config and random weights of a model for it."""
    root = tmp_path_factory.mktemp('shortcut')
    data = root / 'phantom'
    write_phantom_set(
        data,
        dict(test=SplitSize(2, 2)),
        dict(test=SplitSize(1, 1)),
        SplitSize(0, 2),
        size=96,
        show_progress=False,
    )
    config = Config.fromfile(TOOLS.parent / f'configs/phantom/{request.param}_phantom.py')
    loader = config.test_dataloader
    loader.update(num_workers=0, persistent_workers=False)
    loader.dataset.cls.data_root = f'{data}/'
    for transform in loader.dataset.pipeline:
        if transform.type == 'Resize':
            transform.scale = (96, 96)
    config.work_dir = str(root / 'work')
    config.dump(root / 'small.py')
    torch.manual_seed(0)
    init_default_scope('mmdet')
    save_checkpoint(
        dict(meta={}, state_dict=MODELS.build(config.model).state_dict()), str(root / 'random.pth')
    )
    return root / 'small.py', root / 'random.pth'


def test_page(setting, tmp_path, capsys):
    shortcut_test.main([*map(str, setting), '--out', str(tmp_path), '--rounds', '20'])
    assert str(tmp_path / 'shortcut_test.md') in capsys.readouterr().out
    data = json.loads((tmp_path / 'shortcut_test.json').read_text())
    assert list(data['figures']) == [
        'whole slice',
        'lungs blanked',
        'only lungs',
        'lungs, rest blurred',
    ]
    assert set(data['differences']) == {'lungs blanked', 'only lungs', 'lungs, rest blurred'}
    assert (data['slices'], data['patients']) == (12, 6)
    assert data['largest_class_share'] == pytest.approx(1 / 3)
    assert data['its_macro_f1'] == pytest.approx(1 / 6)
    text = (tmp_path / 'shortcut_test.md').read_text()
    assert '| nothing: always normal | 0.333 | 0.167 | 0.500 | - |' in text
    assert f'In {len(data["without_lungs"])} slices no lung was found' in text


def test_model_that_cannot_be_shown_a_region(setting, tmp_path):
    with pytest.raises(SystemExit, match='no mmcovid.SliceDataPreprocessor'):
        shortcut_test.classify(Config(dict(model=dict(type='Other'))), 'lungs', tmp_path / 'x.pkl')
