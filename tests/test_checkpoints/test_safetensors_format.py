import json
import pickle
from collections import OrderedDict

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.model import BaseModule
from mmengine.runner.checkpoint import CheckpointLoader
from safetensors.torch import save

from mmcovid.checkpoints.safetensors import to_safetensors

META = dict(
    cfg="model = {'type': 'X', 'size': (2, 3)}\n",
    dataset_meta=dict(
        classes=('lung', 'ggo'), palette=[(1, 2, 3), (4, 5, 6)], image_classes=('normal', 'covid19')
    ),
    card=dict(name='é'),
    iter=3,
    experiment_name='x',
)


def load(path):
    return CheckpointLoader.load_checkpoint(str(path), 'cpu', logger='silent')


@pytest.fixture
def file(tmp_path):
    def write(data):
        (tmp_path / 'w.safetensors').write_bytes(data)
        return tmp_path / 'w.safetensors'

    return write


@pytest.fixture
def no_pickle(monkeypatch):
    """Whatever unpickles fails."""

    def refuse(*args, **kwargs):
        raise AssertionError('something was unpickled')

    for name in ('load', 'loads', 'Unpickler'):
        monkeypatch.setattr(pickle, name, refuse)
    monkeypatch.setattr(torch, 'load', refuse)


def test_all_comes_back_without_a_pickle(file, no_pickle):
    norm = torch.nn.BatchNorm2d(2)
    state_dict = norm.state_dict()
    state_dict.update(
        half=torch.rand(3).half(),
        scalar=torch.tensor(float('inf')),
        strided=torch.rand(4, 5).t(),
        tied=state_dict['weight'],
        empty=torch.zeros(0, 2),
    )
    with pytest.raises(AssertionError, match='unpickled'):
        torch.load('any.pth')  # the guard works
    loaded = load(file(to_safetensors(dict(state_dict=state_dict, meta=META))))
    saved = loaded['meta'].pop('saved_config')
    assert saved == dict(model=dict(type='X', size=(2, 3)))
    # no config of known types, which MMEngine would run if it were called so
    assert loaded['meta'] == {key: value for key, value in META.items() if key != 'cfg'}
    assert isinstance(loaded['meta']['dataset_meta']['palette'], list)  # a tuple is one colour
    assert loaded['state_dict'].keys() == state_dict.keys()
    for name, weight in state_dict.items():
        assert loaded['state_dict'][name].dtype == weight.dtype
        assert torch.equal(loaded['state_dict'][name], weight)
    # the versions of modules, without which PyTorch and MMCV take weights for former ones
    assert loaded['state_dict']._metadata[''] == dict(version=2)


@settings(max_examples=30, deadline=None)
@given(
    weights=st.dictionaries(
        st.text(min_size=1, max_size=12).filter(lambda name: name != '__metadata__'),
        st.tuples(
            st.sampled_from(['float32', 'float16', 'bfloat16', 'int64', 'bool', 'uint8']),
            st.lists(st.integers(0, 3), max_size=4),
        ),
        max_size=5,
    )
)
def test_any_weights_come_back(weights, tmp_path_factory):
    state_dict = {
        name: (torch.rand(shape) * 9).to(getattr(torch, dtype))
        for name, (dtype, shape) in weights.items()
    }
    path = tmp_path_factory.mktemp('any') / 'w.safetensors'
    path.write_bytes(to_safetensors(dict(state_dict=state_dict)))
    loaded = load(path)['state_dict']
    assert loaded.keys() == state_dict.keys()
    assert all(
        loaded[name].dtype == state_dict[name].dtype and torch.equal(loaded[name], state_dict[name])
        for name in state_dict
    )


def test_init_cfg_takes_a_part_of_a_file_of_another_project(file):
    path = file(save({'backbone.fc.weight': torch.full((1, 2), 7.0)}, dict(format='pt')))
    assert load(path)['meta'] == {}

    class Part(BaseModule):
        def __init__(self, init_cfg):
            super().__init__(init_cfg)
            self.fc = torch.nn.Linear(2, 1)

    part = Part(dict(type='Pretrained', checkpoint=str(path), prefix='backbone.'))
    part.init_weights()
    assert (part.fc.weight == 7).all()


def test_broken_files_are_named(file, tmp_path):
    data = to_safetensors(dict(state_dict=dict(a=torch.rand(100)), meta=META))
    for broken in (
        data[:-1],
        data[:20],
        b'',
        b'\x80\x04no safetensors',
        data.replace(b'"modules":"{}"', b'"modules":"{]"'),
    ):
        with pytest.raises(ValueError, match='w.safetensors: cannot be read .* download it again'):
            load(file(broken))
    with pytest.raises(ValueError, match='newer mmcovid'):
        load(file(save(dict(a=torch.rand(1)), dict(mmcovid='99', meta='{}', modules='{}'))))
    with pytest.raises(FileNotFoundError, match='nowhere.safetensors'):
        load(tmp_path / 'nowhere.safetensors')


def test_pickle_under_the_name_is_not_loaded(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (tmp_path / 'exploded').mkdir, ()

    torch.save(Bomb(), tmp_path / 'bomb.safetensors')
    with pytest.raises(ValueError, match='bomb.safetensors'):
        load(tmp_path / 'bomb.safetensors')
    assert not (tmp_path / 'exploded').exists()


def test_what_is_no_tensor_is_refused():
    with pytest.raises(ValueError, match=r'no tensors, 1: x._extra_state.*\.pth'):
        to_safetensors(dict(state_dict=OrderedDict({'x._extra_state': 'text'})))


def test_header_can_be_read_by_others(file):
    from safetensors import safe_open

    path = file(to_safetensors(dict(state_dict=dict(a=torch.rand(1)), meta=META)))
    with safe_open(path, 'pt') as opened:
        header = opened.metadata()
    assert json.loads(header['card']) == META['card']
    assert json.loads(header['config']) == dict(model=dict(type='X', size=dict(tuple=[2, 3])))
    assert header['format'] == 'pt'
