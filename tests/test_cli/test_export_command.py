import cv2
import numpy as np
import pytest
import torch
from deployment_utils import SIZE, assert_same_results, tiny_config, tiny_inferencer

from mmcovid.cli import export, infer
from mmcovid.deployment.onnx_predictor import OnnxPredictor
from mmcovid.utils.files import sha256

pytest.importorskip('onnxscript')
pytest.importorskip('onnxruntime')


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    """A checkpoint with its config in it, as a training writes it, and the model."""
    folder = tmp_path_factory.mktemp('export')
    config = tiny_config()
    inferencer = tiny_inferencer(config)
    meta = dict(cfg=config.pretty_text, dataset_meta=dict(classes=('lung', 'ggo', 'other')))
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


def test_missing_checkpoint(capsys):
    with pytest.raises(SystemExit):
        export.main(['absent.pth', '--out', 'model.onnx'])
    assert 'there is no checkpoint absent.pth' in capsys.readouterr().err


def test_without_config(tmp_path):
    torch.save(dict(state_dict={}), tmp_path / 'bare.pth')
    with pytest.raises(SystemExit, match='has no config. Give it by --config'):
        export.main([str(tmp_path / 'bare.pth'), '--out', str(tmp_path / 'model.onnx')])


@pytest.mark.parametrize(
    'option, message',
    [(['--config', 'a.py'], 'leave out --config'), (['--device', 'cuda:0'], 'leave out --device')],
)
def test_infer_refuses_what_is_fixed_in_the_file(tmp_path, capsys, option, message):
    (tmp_path / 'model.onnx').touch()
    with pytest.raises(SystemExit):
        infer.parse_args(
            ['x.png', '--out', 'out', '--weights', str(tmp_path / 'model.onnx'), *option]
        )
    assert message in capsys.readouterr().err
