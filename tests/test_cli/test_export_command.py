import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from deployment_utils import SIZE, assert_same_results, tiny_config, tiny_inferencer
from mmengine.config import Config
from scan_class_utils import random_rule

from mmcovid.cli import export, infer
from mmcovid.data_tools.phantom.dataset import SplitSize, write_phantom_set
from mmcovid.deployment.onnx_predictor import OnnxPredictor
from mmcovid.utils.configs import config_path
from mmcovid.utils.files import sha256

pytest.importorskip('onnxscript')
pytest.importorskip('onnxruntime')

RULE = random_rule('scores', np.random.default_rng(0))


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    """A checkpoint with its config in it, as a training writes it, and the model."""
    folder = tmp_path_factory.mktemp('export')
    config = tiny_config()
    inferencer = tiny_inferencer(config)
    meta = dict(cfg=config.pretty_text, dataset_meta=dict(classes=('lung', 'ggo', 'other')))
    meta['scan_rule'] = RULE.to_plain()
    file = folder / 'iter_1.pth'
    torch.save(dict(state_dict=inferencer.model.state_dict(), meta=meta), file)
    return file, inferencer


@pytest.mark.filterwarnings('ignore')
def test_command(checkpoint, tmp_path, capsys):
    file, inferencer = checkpoint
    out = tmp_path / 'model.onnx'
    export.main([str(file), '--out', str(out)])
    printed = capsys.readouterr().out
    assert 'it has no model card' in printed and f'MB written to {out}' in printed

    predictor = OnnxPredictor(out)
    told = predictor.metadata
    assert told.input_size == SIZE and told.temperature == 1 and told.mask_threshold == 0.5
    assert told.config == 'iter_1' and told.card is None
    assert predictor.scan_rule.to_plain() == RULE.to_plain()
    assert told.config_sha256 == inferencer.config_hash
    assert told.weights_sha256 == sha256(file)
    assert predictor.classes.lesion_names == ('lung', 'ggo', 'other')
    picture = str(tmp_path / 'slice.png')
    rng = np.random.default_rng(0)
    cv2.imwrite(picture, cv2.resize(rng.integers(0, 255, (12, 12), np.uint8), (90, 80)))
    assert_same_results(next(predictor.predict([picture])), next(inferencer.predict([picture])))

    with pytest.raises(SystemExit, match='is there already'):
        export.main([str(file), '--out', str(out)])


@pytest.mark.filterwarnings('ignore')
def test_other_models_are_refused(load_config, tmp_path):
    config = load_config(**{'model.test_cfg.rcnn.nms.type': 'soft_nms'})
    file = tmp_path / 'weights.pth'
    torch.save(dict(state_dict={}, meta=dict(cfg=config.pretty_text)), file)
    with pytest.raises(SystemExit, match='cannot be exported: it has NMS of another type'):
        export.main([str(file), '--out', str(tmp_path / 'model.onnx')])


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore')
def test_int8(checkpoint, tmp_path, monkeypatch):
    splits = dict.fromkeys(('train', 'val', 'test'), SplitSize(1, 2))
    write_phantom_set(
        tmp_path / 'data/phantom', splits, splits, SplitSize(0, 1), size=64, show_progress=False
    )
    config = tiny_config()
    phantom = Config.fromfile(config_path('one-shot_r18_fpn_lstm2_phantom')).val_dataloader
    config.val_dataloader = phantom
    config.dump(tmp_path / 'small.py')
    monkeypatch.chdir(tmp_path)
    file, inferencer = checkpoint
    argv = [str(file), '--config', 'small.py', '--precision', 'int8', '--calibration', '3']
    export.main([*argv, '--out', 'int8.onnx'])

    paths = sorted(map(str, Path('data/phantom/covidx_ct/2A_images').glob('*.png')))[:1]
    infer.main([*paths, '--weights', 'int8.onnx', '--out', 'out'])
    (results,) = Path('out').glob('*/results.json')
    assert json.loads(results.read_text())['settings']['precision'] == 'int8'
    found, wanted = (
        next(each.predict(paths)).class_logits for each in (OnnxPredictor('int8.onnx'), inferencer)
    )
    assert 0 < np.abs(found - wanted).max() < 0.5


def test_calibration_by_no_slice(checkpoint, capsys):
    with pytest.raises(SystemExit):
        export.parse_args([str(checkpoint[0]), '--out', 'a.onnx', '--calibration', '0'])
    assert '--calibration must be at least 1' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        export.parse_args([str(checkpoint[0]), '--out', 'a.onnx', '--precision', 'int8'])
    assert '--precision int8 needs --config' in capsys.readouterr().err


def test_missing_checkpoint(capsys):
    with pytest.raises(SystemExit):
        export.main(['absent.pth', '--out', 'model.onnx'])
    assert 'there is no checkpoint absent.pth' in capsys.readouterr().err


def test_without_config(tmp_path):
    torch.save(dict(state_dict={}), tmp_path / 'bare.pth')
    with pytest.raises(SystemExit, match='has no config. Give it by --config'):
        export.main([str(tmp_path / 'bare.pth'), '--out', str(tmp_path / 'model.onnx')])


def test_infer_refuses_what_is_fixed_in_the_file(tmp_path, capsys):
    (tmp_path / 'model.onnx').touch()
    with pytest.raises(SystemExit):
        infer.parse_args(
            ['x.png', '--out', 'out', '--weights', str(tmp_path / 'model.onnx'), '--config', 'a.py']
        )
    assert 'leave out --config' in capsys.readouterr().err
