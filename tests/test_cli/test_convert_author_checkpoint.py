import runpy
import sys

import pytest
import torch

from mmcovid.checkpoints.author import MODULES, convert_author_weights
from mmcovid.registry import MODELS

SCRIPT = 'tools/model_converters/author_checkpoint.py'


@pytest.fixture
def convert(repo, monkeypatch):

    def run(*args):
        monkeypatch.setattr(sys, 'argv', [SCRIPT, *map(str, args)])
        runpy.run_path(str(repo / SCRIPT), run_name='__main__')

    return run


def test_foreign_checkpoint_leaves_no_file(convert, tmp_path):
    source, target = tmp_path / 'source.pth', tmp_path / 'target.pth'
    torch.save(dict(model_weights={'fc.weight': torch.zeros(2)}), source)
    with pytest.raises(SystemExit, match='the backbone is none of r18.*fc.weight'):
        convert(source, target)
    with pytest.raises(SystemExit, match=r'unexpected \(1\): fc.weight'):
        convert(source, target, '--backbone', 'r18')
    with pytest.raises(SystemExit, match='nowhere.pth'):
        convert(tmp_path / 'nowhere.pth', target)
    assert list(tmp_path.iterdir()) == [source]


def test_converted_file(convert, load_config, tmp_path, capsys):
    """From a model of ours, whose weights are renamed to those of the release."""
    model = MODELS.build(load_config('one_shot/one-shot_r34_fpn_lstm2_author-release.py').model)
    sources = {target: source for source, target in MODULES.items()}
    weights = {}
    for name, weight in model.state_dict().items():
        module, _, parameter = name.rpartition('.')
        if name.startswith('backbone.'):
            weights[name.replace('backbone.', 'backbone.body.', 1)] = weight
        elif module in sources:
            weights[f'{sources[module]}.{parameter}'] = weight
    source, target = tmp_path / 'source.pth', tmp_path / 'target.pth'
    torch.save(dict(model_weights=weights, epoch=49, lrate=1e-5, optimizer_state={}), source)
    convert(source, target)
    assert 'one-shot_r34_fpn_lstm2_author-release.py' in capsys.readouterr().out
    written = torch.load(target, weights_only=True)
    assert written['meta']['epoch'] == 49
    assert written['meta']['dataset_meta']['classes'] == ('lung', 'ggo', 'consolidation')
    expected = convert_author_weights(weights, 'r34')
    assert written['state_dict'].keys() == expected.keys()
    assert all(torch.equal(written['state_dict'][name], expected[name]) for name in expected)
