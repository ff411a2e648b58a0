import json
import shutil

import cv2
import numpy as np
import pytest
import torch
from ct_utils import chest
from deployment_utils import (
    SIZE,
    assert_same_results,
    know_training_data,
    metadata,
    tiny_config,
    tiny_inferencer,
)
from mmdet.structures import DetDataSample
from mmengine.config import Config
from models_utils import CHANNELS
from no_stack import run_without_stack
from scan_class_utils import random_rule

from mmcovid.apis.conversion import to_slice_result
from mmcovid.classes import Classes
from mmcovid.data_tools.phantom.dataset import SplitSize, write_phantom_set
from mmcovid.deployment.metadata import (
    DISTANCE_OUTPUT,
    IMAGE_OUTPUTS,
    KEY,
    LESION_OUTPUTS,
    OPSET,
    ROI_OUTPUTS,
    VECTOR_OUTPUT,
)
from mmcovid.deployment.onnx_detector import OnnxDetector
from mmcovid.deployment.onnx_predictor import OnnxPredictor
from mmcovid.results import Failure
from mmcovid.scan_class import Slices
from mmcovid.utils.configs import config_path
from mmcovid.utils.files import sha256

onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
export = pytest.importorskip('mmcovid.deployment.export')


def export_tiny(folder, name='one-shot_r18_fpn_lstm2_cncb', change=None):
    """A tiny model and its file."""
    inferencer = tiny_inferencer(
        tiny_config(name, **{'model.attention_head.temperature': 1.5}), seed=1
    )
    if change is not None:
        change(inferencer.model)
    file = folder / f'{name}.onnx'
    threshold = inferencer.distance_threshold
    export.export_model(inferencer.model, metadata(distance_threshold=threshold), file)
    return inferencer, file


@pytest.fixture(scope='module')
def pictures(tmp_path_factory):
    """Slices of several sizes and depths."""
    folder = tmp_path_factory.mktemp('pictures')
    rng = np.random.default_rng(0)
    paths = []
    for i, (height, width) in enumerate([(72, 88), (120, 100), (50, 61), (150, 201)]):
        coarse = rng.random((height // 8, width // 8), np.float32) * 255
        fine = np.clip(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), 0, 255)
        pixels = (fine * 200).astype(np.uint16) if i == 1 else fine.astype(np.uint8)
        paths.append(str(folder / f'{i}.png'))
        cv2.imwrite(paths[-1], pixels)
    return paths


@pytest.fixture(scope='module')
def lstm2(tmp_path_factory):
    """Of a model that knows its training data."""
    return export_tiny(tmp_path_factory.mktemp('lstm2'), change=know_training_data)


@pytest.mark.slow
def test_torchvision_is_not_missed(tmp_path, caplog):
    """The exporter warns of its operators, which are not used here."""
    export_tiny(tmp_path)
    assert 'torchvision' not in caplog.text


def assert_same(inferencer, file, paths, **options):
    predictor = OnnxPredictor(file, threads=1, **options)
    results = [list(each.predict(paths)) for each in (predictor, inferencer)]
    for found, wanted in zip(*results, strict=True):
        assert_same_results(found, wanted)
    return results[0]


def test_lstm2(lstm2, pictures):
    found = assert_same(*lstm2, pictures)
    assert all(len(result.lesions.labels) for result in found)
    assert all(result.window is None for result in found)
    assert len({result.feature_distance for result in found}) == len(pictures)
    assert OnnxPredictor(lstm2[1]).distance_threshold == 10


def test_lesions_of_low_scores_are_left_out(lstm2, pictures):
    inferencer, file = lstm2
    scores = np.sort(next(inferencer.predict(pictures[:1])).lesions.scores)
    for number in (0, len(scores) // 2):
        least = float(scores[-number]) if number else 1.0  # those of just this score stay
        (wanted,) = inferencer.predict(pictures[:1], 1, least)
        assert len(wanted.lesions.scores) == number
        (found,) = OnnxPredictor(file).predict(pictures[:1], 1, least - 1e-5)
        assert_same_results(found, wanted)
    assert inferencer.model.roi_head.test_cfg.score_thr == 0.05  # as it was


def test_openvino(lstm2, pictures):
    pytest.importorskip('openvino')
    assert_same(*lstm2, pictures, engine='openvino')
    with pytest.raises(ValueError, match='onnxruntime computes in fp32, not bf16'):
        OnnxPredictor(lstm2[1], precision='bf16')


def test_precision_is_that_of_the_file(lstm2, tmp_path):
    assert OnnxPredictor(lstm2[1]).precision == 'fp32'
    int8 = rewrite(lstm2[1], tmp_path / 'int8.onnx', precision='int8')
    assert OnnxPredictor(int8).precision == 'int8'
    assert OnnxPredictor(int8, precision='int8').precision == 'int8'
    for file, wanted, message in (
        (lstm2[1], 'int8', r'is in fp32, not int8\. Export the model with --precision int8'),
        (int8, 'bf16', r'is in int8, not bf16\. Export the model with --precision fp32'),
    ):
        with pytest.raises(ValueError, match=f'{file.name}: {message}'):
            OnnxPredictor(file, precision=wanted)


def test_int8_by_openvino(lstm2, tmp_path):
    pytest.importorskip('openvino')
    int8 = rewrite(lstm2[1], tmp_path / 'int8.onnx', precision='int8')
    assert OnnxPredictor(int8, engine='openvino').precision == 'int8'


def test_other_devices(lstm2, monkeypatch):
    monkeypatch.setattr('onnxruntime.get_available_providers', lambda: ['CPUExecutionProvider'])
    with pytest.raises(ValueError, match='computes on the CPU only; for CUDA, run: .*-gpu'):
        OnnxPredictor(lstm2[1], device='cuda')
    with pytest.raises(ValueError, match='openvino computes on the CPU only: leave out --device'):
        OnnxPredictor(lstm2[1], engine='openvino', device='cuda')


def test_precision_that_the_cpu_lacks(lstm2):
    openvino = pytest.importorskip('openvino')
    if 'BF16' in openvino.Core().get_property('CPU', 'OPTIMIZATION_CAPABILITIES'):
        pytest.skip('this CPU computes in bf16')
    with pytest.raises(ValueError, match='does not compute in bf16: take fp32'):
        OnnxPredictor(lstm2[1], engine='openvino', precision='bf16')


@pytest.mark.slow
def test_class_alone(pictures, tmp_path):
    inferencer = tiny_inferencer(tiny_config('one-shot_r18_fpn_attn_cncb'))
    export.export_model(
        inferencer.model, metadata(temperature=1.0), tmp_path / 'class.onnx', class_only=True
    )
    for found, wanted in zip(
        OnnxPredictor(tmp_path / 'class.onnx').predict(pictures), inferencer.predict(pictures)
    ):
        wanted.lesions = None
        assert_same_results(found, wanted)


def test_in_the_place_of_the_detector(lstm2, pictures):
    """As the runner of ``mmcovid test`` calls it."""
    inferencer, file = lstm2
    detector = OnnxDetector(str(file), threads=1)
    grey = torch.rand(1, *SIZE, generator=torch.Generator().manual_seed(0)) * 255
    results = []
    for model in (detector, inferencer.model):
        samples = [
            DetDataSample(
                metainfo=dict(
                    img_path=f'{task}.png',
                    task=task,
                    img_shape=SIZE,
                    ori_shape=(SIZE[0] * 2, SIZE[1]),
                    scale_factor=(1.0, 0.5),
                )
            )
            for task in ('seg', 'cls')
        ]
        with torch.no_grad():
            found = model.test_step(dict(inputs=[grey.expand(3, -1, -1)] * 2, data_samples=samples))
        assert [sample.pred_label.shape for sample in found] == [(1,)] * 2
        results.append([to_slice_result(sample) for sample in found])
    for found, wanted in zip(*results, strict=True):
        assert_same_results(found, wanted)
    assert results[0][1].lesions is None


def test_lesions_of_a_file_that_only_classifies(pictures, tmp_path):
    model = tiny_inferencer(tiny_config('classifier_r18_cncb')).model
    export.export_model(model, metadata(temperature=1.0), tmp_path / 'class.onnx')
    sample = DetDataSample(metainfo=dict(img_path='a.png', task='seg', ori_shape=SIZE))
    with pytest.raises(ValueError, match=r'class\.onnx: only classifies, and a\.png has lesions'):
        OnnxDetector(str(tmp_path / 'class.onnx')).test_step(
            dict(inputs=[torch.zeros(3, *SIZE)], data_samples=[sample])
        )


BASELINES = (
    'classifier_r18_cncb',
    'covid-ct-mask-net_r18-trunc_fpn_merged_cncb',
    'mask-rcnn_r50_fpn_cncb',
)


@pytest.mark.slow
@pytest.mark.parametrize('name', BASELINES)
def test_baselines(name, pictures, tmp_path):
    inferencer = tiny_inferencer(tiny_config(name))
    if not name.startswith('mask-rcnn'):  # MMDetection's own, which keeps no statistics
        know_training_data(inferencer.model)
    told = metadata(temperature=1.0, distance_threshold=inferencer.distance_threshold)
    export.export_model(inferencer.model, told, tmp_path / 'model.onnx')
    found = assert_same(inferencer, tmp_path / 'model.onnx', pictures)
    assert (found[0].feature_distance is None) == name.startswith('mask-rcnn')
    assert (found[0].lesions is None) == name.startswith('classifier')
    assert (found[0].class_scores is None) == name.startswith('mask-rcnn')


def test_what_is_not_exported(tmp_path):
    with pytest.raises(ValueError, match='models of type Linear are not exported, only OneShot'):
        export.export_model(torch.nn.Linear(1, 1), metadata(), tmp_path / 'model.onnx')
    detector = tiny_inferencer(tiny_config('mask-rcnn_r50_fpn_cncb')).model
    with pytest.raises(ValueError, match='there is no class to export'):
        export.export_model(detector, metadata(), tmp_path / 'model.onnx', class_only=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    'name',
    [
        'one-shot_r18_fpn_lstm1_cncb',
        'one-shot_r18_fpn_attn_cncb',
        'one-shot_r18_fpn-s8_lstm2_cncb',
    ],
)
def test_other_models(name, pictures, tmp_path):
    assert_same(*export_tiny(tmp_path, name), pictures)


@pytest.mark.slow
def test_no_lesion_and_no_roi(pictures, tmp_path):
    def change(model):
        model.roi_head.bbox_head.fc_cls.bias.data[-1] = 100
        head = model.roi_head.classification_branch.bbox_head
        head.fc_reg.weight.data.zero_()
        head.fc_reg.bias.data.fill_(-1e4)

    found = assert_same(*export_tiny(tmp_path, change=change), pictures[:2])
    for result in found:
        assert len(result.lesions.labels) == 0
    assert found[1].roi_sequence.bboxes.round(3).tolist() == [[0, 0, 100, 120]] * 4


def test_ct_is_seen_through_the_window_of_the_file(lstm2, tmp_path):
    sitk = pytest.importorskip('SimpleITK')
    sitk.WriteImage(sitk.GetImageFromArray(chest(2, 48)), str(tmp_path / 'scan.nii.gz'))
    found = list(OnnxPredictor(lstm2[1]).predict([str(tmp_path / 'scan.nii.gz#001')]))
    assert found[0].window == (-500.0, 1200.0)
    assert found[0].lesions.masks.shape[1:] == (48, 48)


def test_what_cannot_be_read_is_a_failure(lstm2, pictures, tmp_path):
    (tmp_path / 'broken.png').write_bytes(b'no picture')
    paths = [str(tmp_path / 'broken.png'), pictures[0], str(tmp_path / 'absent.png')]
    broken, good, absent = OnnxPredictor(lstm2[1]).predict(paths, batch_size=2)
    assert isinstance(broken, Failure) and 'not an image' in broken.reason
    assert good.path == pictures[0]
    assert isinstance(absent, Failure) and absent.input == paths[2]


def test_temperature_can_be_changed(lstm2, pictures):
    inferencer, file = lstm2
    predictor = OnnxPredictor(file)
    assert predictor.temperature == 1.5
    predictor.temperature = inferencer.temperature = 0.7
    try:
        assert_same_results(
            next(predictor.predict(pictures[:1])), next(inferencer.predict(pictures[:1]))
        )
    finally:
        inferencer.temperature = 1.5


def test_temperature_of_a_model_that_does_not_classify(lstm2, tmp_path):
    told = dict(temperature=None, distance_threshold=None)
    model = onnx.load(rewrite(lstm2[1], tmp_path / 'lesions.onnx', **told))
    others = [each for each in model.graph.output if each.name not in LESION_OUTPUTS]
    for each in others:
        model.graph.output.remove(each)
    onnx.save(model, tmp_path / 'lesions.onnx')
    predictor = OnnxPredictor(tmp_path / 'lesions.onnx')
    assert predictor.temperature is None
    message = r'lesions\.onnx: this model does not classify slices: it has no temperature'
    with pytest.raises(ValueError, match=message):
        predictor.temperature = 2.0
    with pytest.raises(ValueError, match=message):
        OnnxDetector(str(tmp_path / 'lesions.onnx'), temperature=2.0)


def test_what_the_file_tells(lstm2):
    file = lstm2[1]
    predictor = OnnxPredictor(file)
    assert predictor.metadata == metadata(
        classes=predictor.metadata.classes, distance_threshold=10.0
    )
    assert predictor.classes == Classes.of()
    assert predictor.device == 'cpu'
    info = predictor.model_info
    assert (info.name, info.config_sha256) == ('tiny', 'c' * 64)
    assert info.weights == str(file) and info.weights_sha256 == sha256(file)


def test_the_file_has_standard_operators_only(lstm2, repo):
    model = onnx.load(lstm2[1])
    onnx.checker.check_model(model, full_check=True)
    assert [(each.domain, each.version) for each in model.opset_import] == [('', OPSET)]
    assert not model.functions
    assert {node.domain for node in model.graph.node} == {''}
    assert [each.name for each in model.graph.output] == [
        *LESION_OUTPUTS,
        *IMAGE_OUTPUTS,
        VECTOR_OUTPUT,
        *ROI_OUTPUTS,
        DISTANCE_OUTPUT,
    ]
    assert str(repo).encode() not in lstm2[1].read_bytes()  # no path of who exported it


def rewrite(file, out, **changes):
    """The file with other metadata; None takes it out."""
    model = onnx.load(file)
    told = json.loads(model.metadata_props[0].value)
    del model.metadata_props[:]
    if changes.get('schema_version', 1) is not None:
        entry = model.metadata_props.add()
        entry.key, entry.value = KEY, json.dumps({**told, **changes})
    onnx.save(model, out)
    return out


@pytest.mark.parametrize(
    'changes, message',
    [
        (dict(schema_version=None), 'is no model of mmcovid'),
        (dict(schema_version=99, mmcovid_version='9.0'), r'by mmcovid 9\.0, in schema 99'),
        (dict(opset=11), 'is of opset 11, not 18'),
        (dict(input_size=None), 'its metadata is broken'),
        (dict(input_size=[64, 64]), 'its graph is not what its metadata says'),
        (dict(distance_threshold=None), 'its graph is not what its metadata says'),
        (dict(scan_rule=dict(schema_version=1)), 'the learned rule is broken'),
    ],
)
def test_other_files_are_refused(lstm2, tmp_path, changes, message):
    file = rewrite(lstm2[1], tmp_path / 'other.onnx', **changes)
    with pytest.raises(ValueError, match=message):
        OnnxPredictor(file)


def test_rule_for_scans_is_in_the_file(lstm2, pictures, tmp_path):
    """It reads the same class by PyTorch and by onnxruntime."""
    inferencer, file = lstm2
    assert OnnxPredictor(file).scan_rule is None
    vectors = [
        np.stack([each.image_vector for each in found])
        for found in (
            list(predictor.predict(pictures)) for predictor in (inferencer, OnnxPredictor(file))
        )
    ]
    assert vectors[0].shape == (len(pictures), 2 * CHANNELS)
    rule = random_rule('vectors', np.random.default_rng(0), size=2 * CHANNELS)
    told = rewrite(file, tmp_path / 'rule.onnx', scan_rule=rule.to_plain())
    rules = (rule, OnnxPredictor(told).scan_rule)
    number = len(pictures)
    wanted, found = (
        each(Slices(np.linspace(-1, 1, number), np.ones((number, 3)) / 3, seen))[0]
        for each, seen in zip(rules, vectors)
    )
    assert found == pytest.approx(wanted, abs=1e-3)


def test_file_of_a_former_version_gives_no_vectors(lstm2, pictures, tmp_path):
    model = onnx.load(lstm2[1])
    (vector,) = (each for each in model.graph.output if each.name == VECTOR_OUTPUT)
    model.graph.output.remove(vector)
    onnx.save(model, tmp_path / 'former.onnx')
    (found,) = OnnxPredictor(tmp_path / 'former.onnx').predict(pictures[:1])
    assert found.image_vector is None and found.class_scores is not None


def test_broken_files_are_refused(lstm2, tmp_path):
    with pytest.raises(FileNotFoundError, match='no such file'):
        OnnxPredictor(tmp_path / 'absent.onnx')
    (tmp_path / 'text.onnx').write_text('no model')
    (tmp_path / 'half.onnx').write_bytes(lstm2[1].read_bytes()[:10000])
    for name in ('text.onnx', 'half.onnx'):
        with pytest.raises(ValueError, match=f'{name}: is no ONNX file, or a broken one'):
            OnnxPredictor(tmp_path / name)


def test_needs_no_pytorch(lstm2, pictures, tmp_path):
    shutil.copy(pictures[3], tmp_path / 'slice.png')
    done = run_without_stack(
        'from mmcovid.cli import main\n'
        f'main(["infer", "slice.png", "--weights", {str(lstm2[1])!r}, "--out", "out"])\n'
        f'assert not {{"torch", "mmcv", "mmengine", "mmdet"}} & set(sys.modules)\n',
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert '1 of 1 scans are complete' in done.stdout
    results = json.loads((tmp_path / 'out' / 'slice' / 'results.json').read_text())
    assert results['model']['name'] == 'tiny'
    assert results['settings']['temperature'] == 1.5


def test_existing_file_and_wrong_suffix(lstm2, tmp_path):
    inferencer, file = lstm2
    with pytest.raises(FileExistsError, match='is there already'):
        export.export_model(inferencer.model, metadata(), file)
    with pytest.raises(ValueError, match='name the file .onnx'):
        export.export_model(inferencer.model, metadata(), tmp_path / 'model.pt')


@pytest.mark.parametrize(
    'step, reason',
    [
        (dict(type='Pad', size_divisor=32), 'it has Pad'),
        (dict(type='Resize', scale=(64, 64), keep_ratio=True), 'it needs'),
        (dict(type='Resize', scale=(64, 64), keep_ratio=False, backend='pillow'), 'it needs'),
    ],
)
def test_other_pipelines_are_refused(step, reason):
    config = tiny_config()
    config.test_dataloader.dataset.pipeline.append(step)
    with pytest.raises(ValueError, match=f'pipeline cannot be exported: {reason}'):
        export.slice_input(config)


def test_calibration_slices_are_of_the_validation_set(tmp_path, monkeypatch):
    splits = dict(train=SplitSize(1, 1), val=SplitSize(2, 2), test=SplitSize(1, 2))
    write_phantom_set(
        tmp_path / 'data/phantom', splits, splits, SplitSize(0, 1), size=64, show_progress=False
    )
    monkeypatch.chdir(tmp_path)
    config = Config.fromfile(config_path('one-shot_r18_fpn_lstm2_phantom'))
    config.test_dataloader.dataset.pipeline = tiny_config().test_dataloader.dataset.pipeline
    few = list(export.calibration_slices(config, 2))
    everything = list(export.calibration_slices(config, 1000))
    assert [len(few), len(everything)] == [2, 2 * 2 * 2 + 3 * 2 * 2]  # classes, patients, slices
    assert {(each.shape, str(each.dtype)) for each in everything} == {(SIZE, 'float32')}
    np.testing.assert_array_equal(few, [everything[0], everything[-1]])
    assert everything[0].max() > 1  # grey values as they are stored


def test_window_of_the_pipeline():
    config = tiny_config()
    assert export.slice_input(config) == (SIZE, (-600.0, 1500.0))
    config.test_dataloader.dataset.pipeline[0].window = dict(level=-400, width=1000)
    assert export.slice_input(config) == (SIZE, (-400.0, 1000.0))
