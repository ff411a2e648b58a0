import copy
import json
import pickle
import runpy
import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from safetensors import safe_open
from scan_class_utils import random_rule

from mmcovid import cards
from mmcovid.apis import OneShotInferencer, inference_detector, init_detector
from mmcovid.checkpoints.publish import publish_model
from mmcovid.datasets import TwoTaskDataset
from mmcovid.utils.configs import config_path
from mmcovid.utils.files import sha256

SCRIPT = 'tools/model_converters/publish_model.py'
NAME = 'one-shot_r18_fpn_lstm2_phantom'
META = dict(
    classes=('lung', 'ggo', 'consolidation'),
    image_classes=('a', 'b', 'c'),
    palette=[(1, 2, 3), (4, 5, 6), (7, 8, 9)],
)


@pytest.fixture(scope='module')
def work_dir(tmp_path_factory):
    """A work dir with a checkpoint as MMEngine writes it, and its card."""
    folder = tmp_path_factory.mktemp('work dir')
    cfg = Config.fromfile(config_path(NAME))
    for transform in cfg.test_dataloader.dataset.pipeline:
        if transform.type == 'Resize':
            transform.scale = (64, 64)
    cfg.work_dir = str(folder)
    torch.manual_seed(0)
    state_dict = MODELS.build(copy.deepcopy(cfg.model)).state_dict()
    state_dict['backbone.conv1.weight'] = state_dict['backbone.conv1.weight'].half()
    torch.save(
        dict(
            state_dict=state_dict,
            optimizer=dict(state=[torch.zeros(9_000_000)]),
            message_hub=dict(runtime_info=dict(cfg='of the log')),
            param_schedulers=[],
            meta=dict(
                cfg=cfg.pretty_text,
                dataset_meta=META,
                iter=9,
                seed=0,
                experiment_name=f'{NAME}_20260101_010203',
                hook_msgs={},
            ),
        ),
        folder / 'iter_9.pth',
    )
    card = dict(
        schema_version=1,
        name=NAME,
        model=None,
        classes=[],
        image_classes=[],
        config=cards.describe_config(cfg),
        initial_weights=None,
        training=dict(
            finished=True,
            iterations=9,
            epochs=None,
            max_iterations=9,
            batch={},
            optimizer={},
            unrecorded_iterations=0,
        ),
        runs=[dict(seed=0, deterministic=False, seconds=1, software=None, hardware=None)],
        data={},
        licences={},
        checkpoint=None,
        validation=None,
        intended_use='',
        limits=[],
        citation='',
        missing={},
        tests=[
            dict(
                time='',
                checkpoint=dict(file='iter_9.pth', sha256=digest),
                data=[],
                config=cards.describe_config(cfg),
                metrics={'image/accuracy': 0.5},
            )
            for digest in (sha256(folder / 'iter_9.pth'), 'of another checkpoint')
        ],
    )
    cards.write_model_card(card, folder)
    return folder


@pytest.fixture(scope='module')
def published(work_dir, tmp_path_factory):
    out = tmp_path_factory.mktemp('out')
    files = {}
    for name in ('model.pth', 'model.safetensors'):
        files[name.rpartition('.')[2]], lacks = publish_model(work_dir / 'iter_9.pth', out / name)
        assert lacks == []
    return files


@pytest.fixture
def script(repo, monkeypatch):

    def run(*args):
        monkeypatch.setattr(sys, 'argv', [SCRIPT, *map(str, args)])
        runpy.run_path(str(repo / SCRIPT), run_name='__main__')

    return run


def predict(weights):
    pixels = np.random.default_rng(0).integers(0, 256, (80, 96), np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        inferencer = OneShotInferencer(weights=str(weights), device='cpu', show_progress=False)
        return inferencer.model.dataset_meta, inferencer(pixels)['predictions'][0]


def test_what_is_kept(work_dir, published):
    source = torch.load(work_dir / 'iter_9.pth', weights_only=True)
    written = torch.load(published['pth'], weights_only=True)
    assert written.keys() == {'meta', 'state_dict'}
    assert published['pth'].name == f'model-{sha256(published["pth"])[:8]}.pth'
    assert published['safetensors'].name == 'model.safetensors'
    assert all(
        torch.equal(value, written['state_dict'][name])
        for name, value in source['state_dict'].items()
    )
    assert written['state_dict']['backbone.conv1.weight'].dtype == torch.float16
    assert str(work_dir) not in written['meta']['cfg']
    assert written['meta']['dataset_meta'] == META
    assert published['pth'].stat().st_size < 0.7 * (work_dir / 'iter_9.pth').stat().st_size

    with safe_open(published['safetensors'], 'pt') as file:
        header = file.metadata()
    card = json.loads(header['card'])
    assert card == written['meta']['card']
    assert card['published'] == dict(file='iter_9.pth', sha256=sha256(work_dir / 'iter_9.pth'))
    assert len(card['tests']) == 1  # of this checkpoint
    config = json.loads(header['config'])
    assert config['model']['type'] == 'mmcovid.OneShotRCNN'
    assert 'data/phantom' not in header['config'] and 'optim_wrapper' not in config
    assert json.loads(header['meta'])['config_sha256'] == card['config']['hash']


def test_both_predict_the_same_and_one_without_a_pickle(published, monkeypatch):
    meta, expected = predict(published['pth'])
    assert meta['image_classes'] == ('a', 'b', 'c')

    def refuse(*args, **kwargs):
        raise AssertionError('something was unpickled')

    with monkeypatch.context() as patch:
        patch.setattr(torch, 'load', refuse)
        patch.setattr(pickle, 'Unpickler', refuse)
        # datasets keep their lists pickled in memory, which is no file
        assert predict(published['safetensors']) == (meta, expected)
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            model = init_detector(config_path(NAME), str(published['safetensors']), device='cpu')
        with pytest.raises(AssertionError, match='unpickled'):
            predict(published['pth'])  # so the guard would have seen it
    assert model.dataset_meta['classes'] == META['classes']
    assert model.dataset_meta['image_classes'] == META['image_classes']
    assert (
        model.dataset_meta['palette']
        == TwoTaskDataset(seg=dict(type='mmcovid.LesionDataset'), lazy_init=True).metainfo[
            'palette'
        ]
    )
    sample = inference_detector(model, np.zeros((64, 64), np.uint8))
    assert sample.pred_label.shape == (1,)


def test_published_again(published, tmp_path, script, capsys):
    """In the other form, from a folder without a card: all that the first had."""
    script(published['safetensors'], tmp_path / 'new')
    (file,) = (tmp_path / 'new').iterdir()
    assert file.name == f'{NAME}-{sha256(file)[:8]}.safetensors'
    assert file.read_bytes() == published['safetensors'].read_bytes()
    assert f'written to {file}' in capsys.readouterr().out
    file, lacks = publish_model(file, tmp_path / 'back.pth')
    assert lacks == []
    back, first = (torch.load(each, weights_only=True) for each in (file, published['pth']))
    assert back['meta'] == first['meta']


def test_rule_for_scans_is_kept(work_dir, tmp_path):
    """By both forms, also when published again; it is plain values."""
    rule = random_rule('scores', np.random.default_rng(0))
    with pytest.raises(ValueError, match='iter_9.pth: knows the classes a, b, c, and the rule'):
        publish_model(work_dir / 'iter_9.pth', tmp_path / 'x.pth', scan_rule=rule)
    rule = replace(rule, classes=('a', 'b', 'c'))
    first, _ = publish_model(work_dir / 'iter_9.pth', tmp_path / 'x.pth', scan_rule=rule)
    again, _ = publish_model(first, tmp_path / 'x.safetensors')
    for file in (first, again):
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            inferencer = OneShotInferencer(weights=str(file), device='cpu', show_progress=False)
        assert inferencer.scan_rule.to_plain() == rule.to_plain()


def test_a_rule_of_other_weights_is_told(work_dir, tmp_path, script, capsys):
    checkpoint = work_dir / 'iter_9.pth'
    rule = replace(random_rule('scores', np.random.default_rng(0)), classes=('a', 'b', 'c'))
    for name, hash_, noted in (('same', sha256(checkpoint), False), ('other', '0' * 64, True)):
        rule.fitted['model'] = dict(weights='seen.pth', weights_sha256=hash_)
        rule.save(tmp_path / f'{name}.json')
        script(checkpoint, tmp_path / name, '--scan-class', tmp_path / f'{name}.json')
        said = capsys.readouterr().out
        assert 'was fitted to what seen.pth said' in said
        assert (f'note: {checkpoint} is another file' in said) == noted


def test_a_broken_rule_for_scans_is_told(work_dir, tmp_path):
    loaded = torch.load(work_dir / 'iter_9.pth', weights_only=True)
    loaded['meta']['scan_rule'] = dict(schema_version=1)
    torch.save(loaded, tmp_path / 'x.pth')
    with pytest.raises(ValueError, match='x.pth: the learned rule is broken'):
        predict(tmp_path / 'x.pth')


def test_nothing_is_overwritten_unless_told(published, tmp_path, script):
    target = tmp_path / 'kept.safetensors'
    target.write_text('mine')
    with pytest.raises(SystemExit, match='error: .*kept.safetensors: is there already'):
        script(published['safetensors'], target)
    assert target.read_text() == 'mine'
    script(published['safetensors'], target, '--overwrite')
    assert target.stat().st_size == published['safetensors'].stat().st_size
    assert list(tmp_path.iterdir()) == [target]


def test_what_cannot_be_published(tmp_path, script):
    class Bomb:
        def __reduce__(self):
            return (tmp_path / 'exploded').mkdir, ()

    bomb, cut, list_ = tmp_path / 'bomb.pth', tmp_path / 'cut.pth', tmp_path / 'list.pth'
    torch.save(dict(state_dict={}, meta=Bomb()), bomb)
    torch.save([1], list_)
    cut.write_bytes(list_.read_bytes()[:100])
    out = tmp_path / 'out.safetensors'
    for file, message in (
        (bomb, 'more than tensors and plain values'),
        (list_, 'no state_dict'),
        (cut, 'cut.pth'),
        (tmp_path / 'nowhere.pth', 'nowhere.pth'),
    ):
        with pytest.raises(SystemExit, match=message):
            script(file, out)
    with pytest.raises(SystemExit, match=r'out.onnx: name the file .pth or .safetensors'):
        script(list_, tmp_path / 'out.onnx')
    assert not out.exists() and not (tmp_path / 'exploded').exists()


def test_training_is_not_resumed_from_a_published_file(repo, monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', ['train.py', 'x.py', '--resume', 'model.safetensors'])
    with pytest.raises(SystemExit):
        runpy.run_path(str(repo / 'tools/train.py'), run_name='__main__')
    assert '--cfg-options load_from=model.safetensors' in capsys.readouterr().err


def test_what_is_lacking_is_said(tmp_path, work_dir):
    torch.save(dict(state_dict=dict(a=torch.zeros(1))), tmp_path / 'bare.pth')
    file, lacks = publish_model(tmp_path / 'bare.pth', tmp_path / 'bare.safetensors')
    assert [sentence[:15] for sentence in lacks] == ['it tells no cla', 'it has no confi']

    # beside a card, but of another training
    (tmp_path / cards.CARD_NAME).write_text((work_dir / cards.CARD_NAME).read_text())
    torch.save(dict(state_dict={}, meta=dict(cfg='a = 1\n', dataset_meta={})), tmp_path / 'x.pth')
    file, sentences = publish_model(tmp_path / 'x.pth', tmp_path / 'x.safetensors')
    assert 'of a training with another config' in sentences[0]
    assert 'it has no config, as that of the checkpoint has no model' in sentences[1]
    with safe_open(file, 'pt') as opened:
        assert 'card' not in opened.metadata()
