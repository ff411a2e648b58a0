import warnings
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from deployment_utils import tiny_config, tiny_inferencer
from mmengine.config import Config

from mmcovid.apis import OneShotInferencer, familiarity
from mmcovid.apis.familiarity import FALSE_ALARM_RATE, fit_familiarity
from mmcovid.cli import publish
from mmcovid.statistics.mahalanobis import distance_threshold

NUM_TRAIN, NUM_VAL = 12, 8


def load(weights):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return OneShotInferencer(weights=str(weights), device='cpu', show_progress=False)


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A checkpoint, and its config, which finds its slices; they are smooth."""
    folder = tmp_path_factory.mktemp('trained')
    rng = np.random.default_rng(0)
    config = tiny_config()
    number = iter(range(100))
    for role, size in (('train', NUM_TRAIN), ('val', NUM_VAL)):
        names = [f'Normal_{i}_1_0000.png' for _, i in zip(range(size), number)]
        for name in names:
            coarse = rng.integers(0, 256, (5, 6), np.uint8)
            cv2.imwrite(str(folder / name), cv2.resize(coarse, (96, 80)))
        (folder / f'{role}.txt').write_text(''.join(f'{name} 0\n' for name in names))
        slices = dict(
            type='mmcovid.SliceDataset',
            data_root=str(folder),
            ann_file=f'{role}.txt',
            data_prefix=dict(img=''),
            pipeline=[],
        )
        config[f'{role}_dataloader'].dataset = dict(type='mmcovid.TwoTaskDataset', cls=slices)
    state_dict = tiny_inferencer(config).model.state_dict()
    torch.save(dict(state_dict=state_dict, meta=dict(cfg=config.pretty_text)), folder / 'x.pth')
    config.dump(folder / 'x.py')
    return folder


@pytest.fixture(scope='module')
def published(trained):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        publish.main(
            [*(str(trained / name) for name in ('x.pth', 'x.safetensors')), '--familiarity']
            + [str(trained / 'x.py')]
        )
    return trained / 'x.safetensors'


def test_threshold_is_of_the_distances_that_the_published_model_gives(trained, published):
    inferencer = load(published)
    paths = [line.split()[0] for line in (trained / 'val.txt').read_text().splitlines()]
    found = list(inferencer.predict([trained / name for name in paths]))
    distances = np.array([result.feature_distance for result in found])
    wanted = distance_threshold(distances, FALSE_ALARM_RATE)
    assert inferencer.distance_threshold == pytest.approx(wanted, rel=1e-3)
    assert len(set(distances.round(3))) == NUM_VAL


def test_noise_is_farther_than_training_slices(trained, published, tmp_path):
    inferencer = load(published)
    known = [trained / line.split()[0] for line in (trained / 'train.txt').open()]
    near = [result.feature_distance for result in inferencer.predict(known)]
    noise = np.random.default_rng(1).integers(0, 256, (80, 96), np.uint8)
    (prediction,) = inferencer(noise, out_dir=str(tmp_path))['predictions']
    assert prediction['feature_distance'] > max(near)
    assert prediction['familiar'] == (
        prediction['feature_distance'] <= inferencer.distance_threshold
    )
    assert '"familiar"' in (tmp_path / 'predictions.json').read_text()


def test_what_was_trained_says_nothing(trained):
    inferencer = load(trained / 'x.pth')
    assert inferencer.distance_threshold is None
    assert 'familiar' not in inferencer(np.zeros((64, 64), np.uint8))['predictions'][0]


def test_slices_that_cannot_be_read_are_told(trained):
    path = trained / 'Normal_3_1_0000.png'
    whole = path.read_bytes()
    path.write_bytes(whole[:50])
    try:
        with pytest.raises(ValueError, match='1 of 12 training slices cannot be read.*mal_3_1'):
            fit_familiarity(
                trained / 'x.pth',
                Config.fromfile(trained / 'x.py'),
                'cpu',
                show_progress=False,
            )
    finally:
        path.write_bytes(whole)


def test_models_without_statistics(trained, monkeypatch):
    other = SimpleNamespace(model=torch.nn.Linear(1, 1))
    monkeypatch.setattr(familiarity, 'OneShotInferencer', lambda *args, **kwargs: other)
    with pytest.raises(ValueError, match='models of type Linear keep no statistics'):
        fit_familiarity(trained / 'x.pth', Config.fromfile(trained / 'x.py'))


def test_large_splits_are_taken_evenly(monkeypatch):
    monkeypatch.setattr(familiarity, 'MOST_SLICES', 3)
    slices = [dict(img_path=str(i)) for i in range(11)]
    assert familiarity._take_evenly(slices) == ['0', '5', '10']
    assert familiarity._take_evenly(slices[:2]) == ['0', '1']
