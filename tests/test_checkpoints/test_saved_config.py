"""The config that a checkpoint holds is data, on every door that takes it."""

import copy
import json
import warnings
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.apis import DetInferencer
from mmengine.config import Config
from safetensors.torch import save

from mmcovid.apis import OneShotInferencer
from mmcovid.checkpoints.publish import load_meta, publish_model
from mmcovid.checkpoints.saved_config import (
    UntrustedConfigError,
    config_text,
    from_json,
    inference_part,
    parse_config,
    saved_hash,
    to_json,
    trained_hash,
)
from mmcovid.cli import export, infer
from mmcovid.utils.configs import config_path
from mmcovid.utils.provenance import config_hash

NAME = 'one-shot_r18_fpn_lstm2_phantom'


@pytest.fixture(scope='module')
def values():
    """The values of a config, all its parts included."""
    return Config.fromfile(config_path(NAME)).to_dict()


def changed(values, key, value):
    """A copy with another value at a dotted key."""
    values = copy.deepcopy(values)
    *parts, last = key.split('.')
    node = values
    for part in parts:
        node = node[int(part) if part.isdecimal() else part]
    node[last] = value
    return values


def test_the_text_of_mmengine_is_parsed_as_it_would_be_run():
    config = Config.fromfile(config_path(NAME))
    parsed = parse_config(config.pretty_text)
    assert parsed == config.to_dict()
    assert saved_hash({}, parsed) == config_hash(config)
    assert trained_hash(dict(cfg=config.pretty_text)) == config_hash(config)


def test_hash_of_the_training_as_far_as_a_checkpoint_tells_it():
    assert trained_hash({}) is None
    assert trained_hash(dict(cfg='import os')) is None
    assert trained_hash(dict(cfg='a = 1', config_sha256='12')) == '12'


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda each: (
        st.lists(each)
        | st.lists(each).map(tuple)
        | st.dictionaries(st.text().filter(lambda key: key != 'tuple'), each)
    ),
    max_leaves=8,
)


@settings(max_examples=40, deadline=None)
@given(plain)
def test_plain_values_come_back(value):
    assert parse_config(config_text(dict(a=value))) == dict(a=value)
    assert from_json(json.loads(json.dumps(to_json(value)))) == value


@settings(max_examples=40, deadline=None)
@given(plain)
def test_values_are_checked_whatever_they_are(value):
    part = dict(
        model=value, test_dataloader=dict(dataset=dict(type='TwoTaskDataset', pipeline=value))
    )
    with pytest.raises(UntrustedConfigError):
        inference_part(part)


PROGRAMS = {
    'statement': 'import os',
    'call': 'a = open("x")',
    'call of a name': 'dict = print\na = dict(b=1)',
    'arguments': 'a = dict([(1, 2)])',
    'unpacked': 'a = dict(**b)',
    'unpacked dict': 'a = {**b}',
    'attribute': 'a = b.c',
    'comprehension': 'a = [x for x in (1,)]',
    'format string': "a = f'{open(1)}'",
    'lambda': 'a = lambda: 0',
    'operator': "a = 'x' * 9999999999",
    'bytes': "a = b'x'",
    'nested': 'a = ' + '[' * 5000,
    'signs': 'a = ' + '-' * 100000 + '1',
    'null': 'a = 1\x00',
}


@pytest.mark.parametrize('program', PROGRAMS.values(), ids=PROGRAMS)
def test_programs_are_refused(program):
    with pytest.raises(UntrustedConfigError, match='is a program, not plain values'):
        parse_config(program)


ROI = 'model.roi_head.'
DATA = 'test_dataloader.dataset.'
#: What runs code or reads files when it is built or used: key, value, what the message names.
HOSTILE = [
    ('model', dict(type='os.system', command='true'), "'os.system'"),
    ('model.type', 'antigravity', "'antigravity'"),  # any module that can be imported
    ('model.type', 'mmcovid.OnnxDetector', 'OnnxDetector'),  # reads a file
    ('model.type', 'KnowledgeDistillationSingleStageDetector', 'Knowledge'),  # runs a config
    ('model.type', dict(type='ResNet'), 'ResNet'),
    ('model.backbone.type', 'mmdet.apis.init_detector', 'init_detector'),
    ('model.backbone._scope_', 'evil', "'evil'"),  # imports evil.registry
    ('model.backbone.norm_cfg', dict(type='builtins.exec'), "'builtins.exec'"),
    ('model.language_model', dict(type='BertModel', name='x'), 'BertModel'),
    ('model.test_cfg.rcnn.nms.type', '__import__("os").system("x")', '__import__'),  # evaluated
    (ROI + 'bbox_roi_extractor.roi_layer.type', 'load_ext', 'load_ext'),
    (ROI + 'bbox_head.weights', '/etc/passwd', "'/etc/passwd'"),
    (ROI + 'bbox_head.weights', 'https:x', "'https:x'"),
    (ROI + 'bbox_head.weights', 'x.pth', "'x.pth'"),
    ('model.backbone', {1: 2}, 'the key 1'),
    ('default_scope', 'evil', "'evil'"),
    (DATA + 'type', 'evil.Dataset', "'evil.Dataset'"),
    (DATA + 'seg.type', 'subprocess.Popen', "'subprocess.Popen'"),
    (DATA + 'metainfo', dict(classes='passwd'), "'passwd'"),  # MMEngine reads the file
    (DATA + 'cls.metainfo', dict(classes='passwd'), "'passwd'"),
    (DATA + 'pipeline.0.type', 'evil.Load', "'evil.Load'"),
    (DATA + 'pipeline', [dict(type='Albu', transforms=[dict(type='load')])], "'load'"),
    (DATA + 'pipeline', [dict(type='RandomSamplingNegPos', tokenizer_name='x')], 'RandomSampling'),
    ('visualizer', dict(type='evil.Visualizer'), "'evil.Visualizer'"),
]


@pytest.mark.parametrize('key, value, named', HOSTILE, ids=[f'{k}={v}' for k, v, _ in HOSTILE])
def test_what_could_do_harm_is_named(values, key, value, named):
    with pytest.raises(UntrustedConfigError, match='.') as caught:
        inference_part(changed(values, key, value))
    assert named in str(caught.value)


def test_what_inference_does_not_need_is_not_taken(values):
    hostile = changed(values, 'custom_imports', dict(imports=['evil']))
    hostile['_base_'] = ['evil.py']
    hostile = changed(hostile, 'custom_hooks', [dict(type='evil.Hook')])
    hostile = changed(hostile, 'visualizer.vis_backends', [dict(type='WandbVisBackend')])
    pretrained = dict(type='Pretrained', checkpoint='https://evil')
    hostile = changed(hostile, 'model.backbone.init_cfg', pretrained)
    hostile = changed(hostile, DATA + 'pipeline.0.backend_args', dict(backend='petrel'))
    assert inference_part(hostile) == inference_part(values)


@pytest.mark.parametrize('values', [{}, dict(model=1), dict(model={}, test_dataloader=[])])
def test_half_a_config(values):
    with pytest.raises(UntrustedConfigError, match='has no model, or no test_dataloader'):
        inference_part(values)


@pytest.fixture(scope='module', params=['program', 'type'])
def bait(request, tmp_path_factory, values):
    """Files that write another one if their config is run, and what that would be."""
    folder = tmp_path_factory.mktemp('bait')
    sprung = folder / 'sprung'
    if request.param == 'program':
        text = f'import pathlib\npathlib.Path({str(sprung)!r}).touch()\n'
    else:
        text = config_text(
            changed(values, 'model', dict(type='os.mkdir', path=str(sprung), backbone={}))
        )
    meta = dict(iter=1, experiment_name='x')
    header = dict(config=text, meta=meta, modules={}, dataset_meta={}, mmcovid=1)
    former = folder / 'former.safetensors'
    former.write_bytes(
        save(dict(a=torch.zeros(1)), {key: json.dumps(value) for key, value in header.items()})
    )
    checkpoint = folder / 'training.pth'
    torch.save(dict(state_dict={}, meta=dict(meta, cfg=text)), checkpoint)
    files = [former, checkpoint]
    if request.param == 'type':
        header.update(config=to_json(parse_config(text)), mmcovid=2)
        files.append(folder / 'current.safetensors')
        files[-1].write_bytes(
            save(dict(a=torch.zeros(1)), {key: json.dumps(value) for key, value in header.items()})
        )
    yield files, sprung
    assert not sprung.exists()


def test_doors_refuse_and_say_what_to_do(bait, tmp_path):
    for file in bait[0]:
        message = rf'{file.name}: the config in it .*, and was not taken. Give .*--trust-code'
        with pytest.raises(UntrustedConfigError, match=message):
            OneShotInferencer(weights=str(file), device='cpu')
        with pytest.raises(SystemExit, match=message):
            export.main([str(file), '--out', str(tmp_path / 'model.onnx')])
        with pytest.raises(SystemExit, match=message):
            infer.main(['x.png', '--weights', str(file), '--out', str(tmp_path / 'out')])
        published, lacks = publish_model(file, tmp_path / 'published.safetensors', overwrite=True)
        assert any(line.startswith('it has no config, as that of the') for line in lacks)
        assert 'saved_config' not in load_meta(published)
    assert not bait[1].exists()


def test_mmdetections_own_inferencer_finds_no_config_to_run(bait):
    for file in bait[0]:
        if file.suffix == '.safetensors':
            with pytest.raises(ValueError, match='Cannot find the config in the checkpoint'):
                DetInferencer(weights=str(file), device='cpu')
    assert not bait[1].exists()


@pytest.mark.filterwarnings('ignore')
def test_a_trusted_program_is_run(tmp_path, values):
    sprung = tmp_path / 'sprung'
    text = f'import pathlib\npathlib.Path({str(sprung)!r}).touch()\n' + config_text(values)
    file = tmp_path / 'training.pth'
    torch.save(dict(state_dict={}, meta=dict(cfg=text)), file)
    args = infer.parse_args(['x', '--weights', str(file), '--out', 'out', '--trust-code'])
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        inferencer = infer.load_predictor(args)
    assert sprung.exists()
    assert inferencer.cfg.train_cfg == values['train_cfg']  # the whole config


@pytest.mark.filterwarnings('ignore')
def test_results_tell_the_hash_of_the_training(tmp_path, values):
    """Of a checkpoint and of what is published of it, which has a part of the config only."""
    file = tmp_path / 'training.pth'
    torch.save(dict(state_dict={}, meta=dict(cfg=config_text(values))), file)
    published, _ = publish_model(file, tmp_path / 'out.safetensors')
    expected = config_hash(Config(values))
    for weights in (file, published):
        inferencer = OneShotInferencer(weights=str(weights), device='cpu', show_progress=False)
        assert inferencer.model_info.config_sha256 == expected


def test_a_home_is_in_no_published_file(tmp_path, values):
    private = changed(values, DATA + 'seg.data_root', '/home/jane.roe/ward 7/')
    private = changed(private, 'work_dir', '/home/jane.roe/work')
    private = changed(private, 'model.stage1', '/home/jane.roe/stage1.pth')
    file = tmp_path / 'training.pth'
    torch.save(dict(state_dict={}, meta=dict(cfg=config_text(private))), file)
    for name in ('a.safetensors', 'a.pth'):
        published, _ = publish_model(file, tmp_path / name)
        assert b'jane' not in Path(published).read_bytes()
