import itertools
import json
import logging
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.logging import MMLogger
from mmengine.model import BaseModel
from mmengine.registry import METRICS
from mmengine.runner import Runner
from sklearn.metrics import f1_score

from mmcovid.evaluation import ImageLevelMetric

CLASSES = ('normal', 'cp', 'covid19')
# Rows = truth; the figures are those printed for COVID-CT-Mask-Net.
MERGED_MASKS = [[9236, 188, 26], [116, 7150, 129], [20, 298, 4028]]
TWO_MASKS = [[9158, 278, 14], [204, 7030, 161], [15, 251, 4080]]


def samples_of(matrix):
    """Samples that have this confusion matrix."""
    for truth, row in enumerate(matrix):
        for pred, count in enumerate(row):
            for _ in range(count):
                yield dict(gt_label=truth, pred_label=pred, pred_score=list(np.eye(3)[pred]))


def evaluate(samples, **kwargs):
    metric = ImageLevelMetric(**kwargs)
    samples = list(samples)
    metric.process({}, samples)
    return metric.evaluate(len(samples))


@pytest.fixture
def log():
    """Messages that are logged in the test."""
    records = []
    handler = logging.Handler()
    handler.emit = records.append
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    yield records
    logger.removeHandler(handler)


@pytest.mark.parametrize(
    'matrix, accuracy, sensitivity', [(MERGED_MASKS, 96.33, 92.68), (TWO_MASKS, 95.64, 93.88)]
)
def test_published_figures(matrix, accuracy, sensitivity):
    metrics = evaluate(samples_of(matrix))
    assert round(100 * metrics['image/accuracy'], 2) == accuracy
    assert round(100 * metrics['image/covid19_sensitivity'], 2) == sensitivity
    assert metrics['image/confusion_matrix'] == matrix


def test_weights_of_f1_are_the_class_shares():
    matrix = [[90, 2, 1], [3, 40, 2], [0, 5, 20]]
    metrics = evaluate(samples_of(matrix))
    f1 = [metrics[f'image/{name}_f1'] for name in CLASSES]
    shares = np.sum(matrix, axis=1) / np.sum(matrix)
    assert metrics['image/weighted_f1'] == pytest.approx(np.dot(f1, shares))
    assert metrics['image/macro_f1'] == pytest.approx(np.mean(f1))
    assert metrics['image/weighted_f1'] != pytest.approx(metrics['image/macro_f1'], abs=1e-5)


def ratio(numerator, denominator):
    return numerator / denominator if denominator else math.nan


def auroc(positive, scores):
    """Share of the pairs in which the positive scores higher, ties counting half."""
    pairs = list(itertools.product(scores[positive], scores[~positive]))
    return ratio(sum((p > n) + (p == n) / 2 for p, n in pairs), len(pairs))


labelled = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(0, 2),
        st.lists(st.integers(0, 8).map(lambda n: n / 8), min_size=3, max_size=3),
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(labelled)
def test_figures_by_definition(drawn):
    truth, pred, scores = (np.array(values) for values in zip(*drawn))
    metrics = evaluate(dict(gt_label=t, pred_label=p, pred_score=s) for t, p, s in drawn)
    assert metrics['image/accuracy'] == pytest.approx(np.mean(truth == pred))
    for k, name in enumerate(CLASSES):
        is_k, said_k = truth == k, pred == k
        expected = dict(
            sensitivity=ratio(np.sum(is_k & said_k), np.sum(is_k)),
            specificity=ratio(np.sum(~is_k & ~said_k), np.sum(~is_k)),
            ppv=ratio(np.sum(is_k & said_k), np.sum(said_k)),
            npv=ratio(np.sum(~is_k & ~said_k), np.sum(~said_k)),
            f1=ratio(2 * np.sum(is_k & said_k), np.sum(is_k) + np.sum(said_k)),
            auroc=auroc(is_k, scores[:, k]),
        )
        for key, value in expected.items():
            assert metrics[f'image/{name}_{key}'] == pytest.approx(value, nan_ok=True), key
    assert metrics['image/macro_f1'] == pytest.approx(
        f1_score(truth, pred, labels=np.unique(truth), average='macro')
    )
    areas = [metrics[f'image/{CLASSES[k]}_auroc'] for k in np.unique(truth)]
    assert metrics['image/macro_auroc'] == pytest.approx(np.mean(areas), nan_ok=True)
    assert not math.isnan(metrics['image/weighted_f1'])


def test_class_without_slices_has_no_say_in_the_means(log):
    """One false prediction of it costs the macro F1 as much as one of another class."""
    metrics = evaluate(samples_of([[599, 1, 0], [0, 0, 0], [0, 0, 400]]))
    assert metrics['image/cp_f1'] == 0
    assert metrics['image/macro_f1'] == pytest.approx((2 * 599 / 1199 + 1) / 2)
    assert any(
        'no slice of cp: macro figures are means over the other classes' in record.getMessage()
        for record in log
    )


def test_any_kind_of_number_is_taken():
    same = [
        dict(gt_label=1, pred_label=2, pred_score=[0.1, 0.2, 0.7]),
        dict(gt_label=np.int64(1), pred_label=np.array([2]), pred_score=np.array([0.1, 0.2, 0.7])),
        dict(
            gt_label=torch.tensor([1]),
            pred_label=torch.tensor([2]),
            pred_score=torch.tensor([0.1, 0.2, 0.7], dtype=torch.bfloat16),
        ),
        dict(gt_label=[1], pred_label=torch.tensor(2), pred_score=(0.1, 0.2, 0.7)),
    ]
    assert evaluate(same)['image/confusion_matrix'] == [[0, 0, 0], [0, 0, 4], [0, 0, 0]]


def test_undefined_figures_are_nan_and_named_once(log):
    metrics = evaluate(
        [
            dict(gt_label=0, pred_label=0, pred_score=[1, 0, 0]),
            dict(gt_label=1, pred_label=0, pred_score=[1, 0, 0]),
        ]
    )
    assert math.isnan(metrics['image/covid19_sensitivity'])
    assert math.isnan(metrics['image/covid19_auroc'])
    assert metrics['image/cp_sensitivity'] == 0
    warned = [record.getMessage() for record in log if record.levelno == logging.WARNING]
    assert len(warned) == 1
    assert 'covid19_sensitivity' in warned[0] and 'cp_ppv' in warned[0]
    assert 'cp_sensitivity' not in warned[0]


def test_table_is_logged(log):
    evaluate(samples_of([[3, 0, 0], [1, 2, 0], [0, 0, 4]]))
    text = '\n'.join(record.getMessage() for record in log)
    assert 'truth \\ predicted' in text and 'accuracy 0.9000' in text
    assert not any(record.levelno == logging.WARNING for record in log)


def test_classes_of_the_dataset_unless_given():
    two = dict(gt_label=1, pred_label=1, pred_score=[0.4, 0.6])
    metric = METRICS.build(dict(type='mmcovid.ImageLevelMetric'))
    metric.dataset_meta = dict(classes=('lung',), image_classes=('negative', 'positive'))
    metric.process({}, [two])
    assert metric.evaluate(1)['image/positive_sensitivity'] == 1
    assert 'image/b_sensitivity' in evaluate([two], classes=('a', 'b'))


@pytest.mark.parametrize(
    'broken, message',
    [
        (dict(gt_label=None), 'no gt_label'),
        (dict(pred_score=None), 'no pred_score'),
        (dict(gt_label=3), 'gt_label must be one of 0..2'),
        (dict(pred_label=[0, 1]), 'pred_label must be one'),
        (dict(pred_score=[0.5, 0.5]), '2 scores for 3 classes'),
        (dict(pred_score=[math.nan, 0, 1]), 'not finite'),
    ],
)
def test_broken_samples_are_named(broken, message):
    sample = {**dict(img_path='a/b.png', gt_label=0, pred_label=0, pred_score=[1, 0, 0]), **broken}
    sample = {key: value for key, value in sample.items() if value is not None}
    with pytest.raises(ValueError, match=f'a/b.png.*{message}'):
        ImageLevelMetric().process({}, [sample])


def test_nothing_to_score():
    with pytest.raises(ValueError, match='no slice to score'):
        ImageLevelMetric().evaluate(0)


class Perfect(BaseModel):
    """Says the truth; a batch is a list of labels."""

    def forward(self, *labels, mode):
        return [dict(gt_label=k, pred_label=k, pred_score=torch.eye(3)[k]) for k in labels]


def test_all_figures_pass_the_loggers(tmp_path):
    loader = dict(
        dataset=[0, 1, 2],
        sampler=dict(type='DefaultSampler', shuffle=False),
        batch_size=2,
        collate_fn=dict(type='pseudo_collate'),
    )
    metric = dict(type='mmcovid.ImageLevelMetric')
    runner = Runner(
        Perfect(),
        str(tmp_path),
        val_dataloader=loader,
        val_cfg={},
        val_evaluator=metric,
        test_dataloader=loader,
        test_cfg={},
        test_evaluator=metric,
        visualizer=dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')]),
        default_scope='mmdet',
        experiment_name='loggers',
    )
    runner.val()
    assert runner.test()['image/accuracy'] == 1
    logged = json.loads((Path(runner.log_dir) / f'{runner.timestamp}.json').read_text())
    assert logged['image/confusion_matrix'] == np.eye(3).tolist()
    assert logged['image/covid19_auroc'] == 1
    scalars = Path(runner.log_dir, 'vis_data', 'scalars.json').read_text()
    assert json.loads(scalars.splitlines()[0])['image/weighted_f1'] == 1
