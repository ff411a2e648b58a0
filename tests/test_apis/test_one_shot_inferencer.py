import copy
import json
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from ct_utils import chest, write_series, write_slice
from hypothesis import given
from hypothesis import strategies as st
from mmdet.apis import DetInferencer
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.structures import InstanceData
from mmengine.utils import digit_version

from mmcovid.apis import OneShotInferencer, inference_detector, init_detector
from mmcovid.ct import apply_window
from mmcovid.ct.inputs import name_outputs
from mmcovid.results import Failure
from mmcovid.utils.provenance import config_hash

CONFIG = 'one_shot/one-shot_r18_fpn_lstm2_cncb.py'
SIZE = 64
NUM_ROIS = 4


def small(config):
    """The config for slices of 64 x 64, with few detections and RoIs: quick."""
    for transform in config.test_dataloader.dataset.pipeline:
        if transform.type == 'Resize':
            transform.scale = (SIZE, SIZE)
    config.model.test_cfg.rcnn.max_per_img = 4
    config.model.roi_head.roi_sequence.num_rois = NUM_ROIS
    return config


def own_config():
    config = small(Config.fromfile(Path(__file__).parents[2] / 'configs' / CONFIG))
    config.model.backbone.init_cfg = None
    return config


@pytest.fixture(scope='module')
def inferencer():
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return OneShotInferencer(own_config(), device='cpu', show_progress=False)


@pytest.fixture(scope='module')
def ct():
    """A grey picture, 48 x 64."""
    y, x = np.mgrid[:48, :64]
    return (127 + 60 * np.sin(x / 5) + 60 * np.cos(y / 7)).astype(np.uint8)


@pytest.fixture
def folder(tmp_path, ct):
    slices = tmp_path / 'slices'
    slices.mkdir()
    cv2.imwrite(str(slices / 'b.png'), ct)
    cv2.imwrite(str(slices / 'a.PNG'), ct.astype(np.uint16) * 16)
    (slices / 'broken.png').write_bytes(b'no picture')
    (slices / 'empty.jpg').write_bytes(b'')
    (slices / 'notes.txt').write_text('no slice')
    return slices


def test_folder_with_bad_files(inferencer, folder, tmp_path):
    out = tmp_path / 'out'
    result = inferencer(folder, batch_size=2, out_dir=str(out))

    assert [Path(p['img_path']).name for p in result['predictions']] == ['a.PNG', 'b.png']
    assert [Path(e['input']).name for e in result['errors']] == ['broken.png', 'empty.jpg']
    assert all(error['reason'] for error in result['errors'])
    for prediction in result['predictions']:
        scores = prediction['class_scores']
        assert list(scores) == ['normal', 'cp', 'covid19']
        assert sum(scores.values()) == pytest.approx(1, abs=1e-5)
        assert prediction['pred_class'] == max(scores, key=scores.get)
        assert list(scores)[prediction['pred_label']] == prediction['pred_class']
        assert np.shape(prediction['roi_sequence']['bboxes']) == (NUM_ROIS, 4)
        assert np.sum(prediction['roi_sequence']['attention'], axis=0) == pytest.approx([1, 1])
        rois = prediction['roi_sequence']
        assert len(rois['labels']) == len(rois['scores']) == len(rois['bboxes'])
        assert len(prediction['masks']) == len(prediction['labels'])
    # the depth of the file makes no difference to a model that standardises each slice
    a, b = (prediction['class_scores'] for prediction in result['predictions'])
    assert a == pytest.approx(b, abs=1e-4)

    written = sorted(str(path.relative_to(out)) for path in out.rglob('*') if path.is_file())
    assert written == ['predictions.json', 'preds/a.json', 'preds/b.json', 'vis/a.PNG', 'vis/b.png']
    assert json.loads((out / 'preds' / 'b.json').read_text()) == result['predictions'][1]
    summary = json.loads((out / 'predictions.json').read_text())
    assert summary['errors'] == result['errors']
    assert summary['predictions'][1]['pred_class'] == result['predictions'][1]['pred_class']
    counted = np.array(result['predictions'][1]['labels'])[
        np.array(result['predictions'][1]['scores']) >= 0.3
    ]
    assert list(summary['predictions'][1]['instances'].values()) == [
        int(np.sum(counted == k)) for k in range(3)
    ]


def test_arrays_of_any_kind(inferencer, ct, tmp_path):
    arrays = [ct, np.stack([ct] * 3, axis=-1), ct.astype(np.int16) - 1024, np.zeros((0, 4))]
    result = inferencer(arrays, return_vis=True, out_dir=str(tmp_path))
    assert [error['input'] for error in result['errors']] == ['array 3']
    first, second, third = (p['class_scores'] for p in result['predictions'])
    assert first == pytest.approx(second, abs=1e-5)
    assert first == pytest.approx(third, abs=1e-3)
    assert all(picture.dtype == np.uint8 for picture in result['visualization'])
    assert len({p.stem for p in (tmp_path / 'preds').iterdir()}) == 3
    assert {p.stem for p in (tmp_path / 'preds').iterdir()} == {
        p.stem for p in (tmp_path / 'vis').iterdir()
    }


def test_same_name_in_two_folders(inferencer, ct, tmp_path):
    for patient in ('1', '2'):
        (tmp_path / patient).mkdir()
        cv2.imwrite(str(tmp_path / patient / '0.jpg'), ct)
    result = inferencer([tmp_path / '1', str(tmp_path / '2')], out_dir=str(tmp_path / 'out'))
    assert not result['errors']
    out = tmp_path / 'out'
    for patient in ('1', '2'):
        assert (out / 'preds' / patient / '0.json').is_file()
        assert (out / 'vis' / patient / '0.jpg').is_file()


def test_nothing_readable(inferencer, folder, tmp_path):
    with pytest.raises(ValueError, match='2 of 2 inputs could not be read:\n.*broken.png'):
        inferencer([folder / 'broken.png', tmp_path / 'absent.png'])
    (tmp_path / 'void').mkdir()
    with pytest.raises(FileNotFoundError, match='void holds no image'):
        inferencer(tmp_path / 'void')


def test_data_samples_are_returned_on_request(inferencer, ct, tmp_path):
    result = inferencer(ct, return_datasamples=True, out_dir=str(tmp_path), no_save_vis=True)
    assert isinstance(result['predictions'][0], DetDataSample)
    assert not list(tmp_path.iterdir())


def test_abstention_and_temperature(inferencer, ct, tmp_path):
    plain = inferencer(ct)['predictions'][0]
    assert 'decided' not in plain
    score = max(plain['class_scores'].values())
    for threshold, decided in ((score, True), (score + 1e-6, False)):
        out = tmp_path / str(decided)
        found = inferencer(ct, abstain_below=threshold, out_dir=str(out), no_save_vis=True)
        assert found['predictions'][0]['decided'] is decided
        assert found['predictions'][0]['pred_class'] == plain['pred_class']
        summary = json.loads((out / 'predictions.json').read_text())
        assert summary['predictions'][0]['decided'] is decided
    with pytest.raises(ValueError, match='abstain below 1.5'):
        inferencer(ct, abstain_below=1.5)
    assert inferencer.temperature == 1
    try:
        inferencer.temperature = 50
        flat = inferencer(ct)['predictions'][0]
    finally:
        inferencer.temperature = 1
    assert flat['pred_class'] == plain['pred_class']
    assert max(flat['class_scores'].values()) < score


def test_stream_gives_one_sample_after_the_other(inferencer, folder):
    stream = inferencer.stream(folder, batch_size=1)
    assert Path(next(stream).img_path).name == 'a.PNG'
    rest = list(stream)
    assert [Path(sample.img_path).name for sample in rest] == ['b.png']
    assert [Path(e['input']).name for e in inferencer.errors] == ['broken.png', 'empty.jpg']
    expected = inferencer(folder / 'b.png')['predictions'][0]['class_scores']
    assert rest[0].pred_score.tolist() == pytest.approx(list(expected.values()), abs=1e-5)


def test_failures_are_in_the_place_of_their_slices(inferencer, folder):
    names = ['broken.png', 'a.PNG', 'empty.jpg', 'absent.png', 'b.png', 'broken.png']
    paths = [str(folder / name) for name in names]
    for batch_size in (1, 2, 4):
        found = list(inferencer.predict(paths, batch_size))
        failed = [isinstance(each, Failure) for each in found]
        assert failed == [True, False, True, True, False, True]
        assert [each.input if isinstance(each, Failure) else each.path for each in found] == paths
    assert all(each.reason for each in found if isinstance(each, Failure))
    expected = inferencer(paths[4])['predictions'][0]
    assert found[4].class_scores.tolist() == pytest.approx(
        list(expected['class_scores'].values()), abs=1e-5
    )
    assert found[4].lesions.masks.shape[1:] == (48, 64)
    assert found[4].roi_sequence.attention.shape == (NUM_ROIS, 2)
    assert list(inferencer.predict([])) == []


def test_what_it_tells_of_itself(inferencer):
    assert inferencer.classes.lung == 'lung' and inferencer.classes.normal == 'normal'
    assert inferencer.model_info.name == 'one-shot_r18_fpn_lstm2_cncb'
    assert inferencer.model_info.config_sha256 == inferencer.config_hash
    assert inferencer.model_info.weights is inferencer.model_info.weights_sha256 is None
    assert inferencer.device == 'cpu'


def test_a_run_leaves_nothing_to_the_next(inferencer, ct, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        fresh = OneShotInferencer(own_config(), device='cpu', show_progress=False)
    assert fresh.errors == []
    inferencer(ct, abstain_below=0.99)
    (tmp_path / 'broken.png').write_bytes(b'')
    inferencer([ct, str(tmp_path / 'broken.png')])
    assert len(inferencer.errors) == 1
    assert 'decided' not in inferencer(ct)['predictions'][0]
    assert inferencer.errors == []


def test_class_only_prediction(inferencer):
    sample = DetDataSample(metainfo=dict(img_path='x/y.png'))
    sample.pred_label, sample.pred_score = torch.tensor([2]), torch.tensor([0.1, 0.2, 0.7])
    assert inferencer.pred2dict(sample) == dict(
        img_path='x/y.png',
        pred_label=2,
        pred_class='covid19',
        class_scores=pytest.approx(dict(normal=0.1, cp=0.2, covid19=0.7)),
    )


def test_prediction_without_lesions(inferencer):
    sample = DetDataSample()
    sample.pred_instances = InstanceData(
        bboxes=torch.zeros(0, 4),
        labels=torch.zeros(0, dtype=torch.long),
        scores=torch.zeros(0),
        masks=torch.zeros(0, 8, 8, dtype=torch.bool),
    )
    result = inferencer.pred2dict(sample)
    assert result['labels'] == result['masks'] == result['bboxes'] == []


def test_classes_come_from_the_config(inferencer):
    meta = inferencer.model.dataset_meta
    assert meta['classes'] == ('lung', 'ggo', 'consolidation')
    assert meta['image_classes'] == ('normal', 'cp', 'covid19')
    assert len(meta['palette']) == 3


def test_config_hash_is_that_of_the_config_as_given(inferencer):
    assert inferencer.config_hash == config_hash(own_config())


def test_base_name_and_weights(inferencer, load_config, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr('mmengine.logging.print_log', lambda text, **_: said.append(text))
    weights = tmp_path / 'weights.pth'
    torch.save(
        dict(
            state_dict=inferencer.model.state_dict(),
            meta=dict(
                dataset_meta=dict(
                    classes=('lung', 'ggo', 'consolidation'), image_classes=('a', 'b', 'c')
                )
            ),
        ),
        weights,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings('error', message='.*COCO classes|Failed to add')
        built = OneShotInferencer(
            'one-shot_r18_fpn_lstm2_cncb', str(weights), device='cpu', show_progress=False
        )
    assert not any('Failed to search' in text for text in said)
    assert built.model.dataset_meta['image_classes'] == ('a', 'b', 'c')
    assert len(built.model.dataset_meta['palette']) == 3
    name, weight = next(iter(inferencer.model.named_parameters()))
    assert torch.equal(built.model.get_parameter(name), weight)
    with pytest.raises(FileNotFoundError, match='one-shot_r18_fpn_lstm2_cncb'):
        OneShotInferencer('one-shot_r19')


@pytest.mark.skipif(
    digit_version(torch.__version__) < digit_version('2.6'), reason='PyTorch cannot tell before'
)
def test_checkpoint_that_holds_objects_is_refused(tmp_path):
    weights = tmp_path / 'weights.pth'
    torch.save(dict(state_dict={}, meta=dict(folder=tmp_path)), weights)
    with (
        pytest.raises(ValueError, match='(?s)weights.pth: .*tensors and plain values'),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter('ignore')
        OneShotInferencer('one-shot_r18_fpn_lstm2_cncb', str(weights), device='cpu')


def test_stock_interfaces_work_unmodified(load_config, folder, ct):
    config = small(load_config(CONFIG))
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        model = init_detector(copy.deepcopy(config), device='cpu')
        from_file = inference_detector(model, str(folder / 'b.png'))
        (from_array,) = inference_detector(model, [ct])
        stock = DetInferencer(config, device='cpu', show_progress=False)
    assert from_file.pred_score.tolist() == pytest.approx(from_array.pred_score.tolist())
    result = stock(str(folder / 'b.png'), return_vis=True)
    assert len(result['predictions']) == len(result['visualization']) == 1


def test_ct_as_it_comes_from_a_scanner(inferencer, tmp_path):
    """Files, series, volumes and pictures in one run give what pictures of all slices give."""
    hu = chest(2, 48)
    scans, out = tmp_path / 'scans', tmp_path / 'out'
    series = write_series(scans / 'series', hu)
    file = write_slice(scans / 'single.dcm', hu[0])
    sitk.WriteImage(sitk.GetImageFromArray(hu), str(scans / 'scan.nrrd'))
    cv2.imwrite(str(scans / 'picture.png'), apply_window(hu[0]))
    (scans / 'broken.nii.gz').write_bytes(b'')
    result = inferencer(
        [
            series,
            file,
            scans / 'scan.nrrd',
            f'{scans}/scan.nrrd#001',
            scans / 'picture.png',
            scans / 'broken.nii.gz',
        ],
        batch_size=7,
        out_dir=str(out),
        return_vis=True,
    )
    names = [
        'series#000',
        'series#001',
        'single.dcm',
        'scan.nrrd#000',
        'scan.nrrd#001',
        'scan.nrrd#001',
        'picture.png',
    ]
    assert [p['img_path'] for p in result['predictions']] == [f'{scans}/{name}' for name in names]
    assert [error['input'] for error in result['errors']] == [f'{scans}/broken.nii.gz']
    arrays = inferencer([apply_window(hu[i]) for i in (0, 1, 0, 0, 1, 1, 0)], batch_size=7)
    for prediction, expected in zip(result['predictions'], arrays['predictions']):
        assert prediction['class_scores'] == pytest.approx(expected['class_scores'], abs=1e-5)
        assert prediction.get('window') == (
            None if prediction['img_path'].endswith('png') else [-600, 1500]
        )
    assert len(result['visualization']) == 7
    written = sorted(path.stem for path in (out / 'preds').iterdir())
    assert written == ['picture', 'scan_000', 'scan_001', 'series_000', 'series_001', 'single']
    assert {path.suffix for path in (out / 'vis').iterdir()} == {'.png'}


def test_folders_of_volumes_and_of_several_series(inferencer, ct, tmp_path):
    for name, slices in (('a.nrrd', 2), ('a_001.nrrd', 1)):
        sitk.WriteImage(sitk.GetImageFromArray(chest(slices, 48)), str(tmp_path / name))
    cv2.imwrite(str(tmp_path / 'c.png'), ct)
    result = inferencer(tmp_path, batch_size=4, out_dir=str(tmp_path / 'out'), no_save_vis=True)
    assert not result['errors'] and len(result['predictions']) == 4
    assert len(list((tmp_path / 'out' / 'preds').rglob('*.json'))) == 4  # none over another
    series = write_series(tmp_path / 'series', chest(2, 48))
    write_series(series, chest(2, 48), names=['x.dcm', 'y.dcm'], uid='1.2.77')
    with pytest.raises(ValueError, match='2 series. Choose one by its UID'):
        inferencer(series)
    assert len(inferencer(f'{series}#1.2.77')['predictions']) == 2


@pytest.mark.parametrize('loader', ['mmcovid.LoadImageFromFile', 'mmcovid.LoadCTSlice'])
def test_window_of_the_config(load_config, tmp_path, loader):
    config = small(load_config(CONFIG))
    config.test_dataloader.dataset.pipeline[0] = dict(
        type=loader, color_type='unchanged', window=dict(level=40, width=400)
    )
    path = str(write_slice(tmp_path / 'a.dcm', chest(1, 48)[0]))
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        model = init_detector(copy.deepcopy(config), device='cpu')
        inferencer = OneShotInferencer(config, device='cpu', show_progress=False)
    assert inference_detector(model, path).window == (40, 400)
    assert inferencer(path)['predictions'][0]['window'] == [40, 400]


names = st.text('ab', min_size=1, max_size=2)
paths = st.lists(
    st.tuples(st.lists(names, max_size=2), names, st.sampled_from(['.png', '.jpg'])).map(
        lambda parts: '/'.join([*parts[0], parts[1] + parts[2]])
    ),
    max_size=6,
)


@given(paths)
def test_output_names_differ_for_different_files(drawn):
    named = name_outputs(drawn)
    assert set(named) == set(drawn)
    assert len(set(named.values())) == len(set(drawn))
    assert all(not name.startswith(('/', '..')) for name in named.values())
    if len({Path(path).stem for path in drawn}) == len(set(drawn)):
        assert all(named[path] == Path(path).stem for path in drawn)
