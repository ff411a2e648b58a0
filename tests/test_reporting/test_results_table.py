import math

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from mmcovid.reporting.results_table import format_results

METRICS = {
    'image/accuracy': 0.9633,
    'image/macro_f1': 0.5,
    'image/normal_sensitivity': 0.91,
    'image/normal_auroc': math.nan,
    'image/covid19_sensitivity': 0.9268,
    'image/covid19_npv': 0.99,
    'image/confusion_matrix': [[41, 2], [3, 57]],
    'coco/bbox_mAP': 0.25,
    'coco/bbox_mAP_50': 0.5,
    'coco/segm_mAP': 0.4683,
    'coco/segm_mAP_50': 0.7,
    'coco/segm_ggo_precision': 0.123,
    'coco/segm_lung_precision': math.nan,
    'per_image/segm_mAP': 0.5813,
    'per_image/segm_mAP_75': 0.6,
}


def cells(text: str, name: str) -> list[str]:
    """The cells of the first table row that begins with ``name``."""
    line = next(line for line in text.splitlines() if line.startswith(f'| {name} '))
    return [cell.strip() for cell in line.strip('|').split('|')]


def test_each_ruler_of_lesions_has_a_block_that_names_it():
    coco, image, per_image = format_results(METRICS).split('\n\n')
    assert "COCO's" in coco.splitlines()[0] and '0.4683' in coco and '0.5813' not in coco
    assert "author's releases" in per_image.splitlines()[0]
    assert cells(per_image, 'type') == ['type', 'mAP', 'AP75']
    assert cells(per_image, 'segm') == ['segm', '0.5813', '0.6000']


def test_both_tasks_have_a_block():
    text = format_results(METRICS)
    assert text.index('Lesion segmentation') < text.index('Classification of slices')
    assert cells(text, 'type') == ['type', 'mAP', 'AP50', 'AP ggo', 'AP lung']
    assert cells(text, 'segm') == ['segm', '0.4683', '0.7000', '0.1230', 'undefined']
    assert cells(text, 'bbox') == ['bbox', '0.2500', '0.5000', '', '']
    assert 'accuracy  0.9633' in text
    assert 'macro F1  0.5000' in text


def test_classes_are_rows_and_undefined_figures_say_so():
    text = format_results(METRICS)
    text = text[text.index('Classification of slices') :]
    assert cells(text, 'class') == ['class', 'sensitivity', 'NPV', 'AUROC']
    assert cells(text, 'normal') == ['normal', '0.9100', '', 'undefined']
    assert cells(text, 'covid19') == ['covid19', '0.9268', '0.9900', '']


def test_confusion_matrix_is_named_by_the_classes():
    text = format_results(METRICS)
    matrix = text[text.index('confusion matrix (rows: truth') :]
    assert cells(matrix, 'normal') == ['normal', '41', '2']
    assert cells(matrix, 'covid19') == ['covid19', '3', '57']


def test_matrix_without_class_names_is_numbered():
    text = format_results({'confusion_matrix': [[1, 2], [3, 4]]})
    assert cells(text, '1') == ['1', '3', '4']


def test_classwise_figures_of_the_stock_metric():
    text = format_results({'coco/ggo_precision': 0.123, 'coco/lung_precision': 0.5})
    assert cells(text, 'class') == ['class', 'AP']
    assert cells(text, 'ggo') == ['ggo', '0.1230']


def test_no_figures():
    assert format_results({}) == ''


@example({'__': 0.0, '/__': 1.0})
@given(
    st.dictionaries(
        st.text('abc_/', min_size=1), st.floats(allow_nan=False, allow_infinity=False, width=16)
    )
)
def test_no_figure_is_lost(metrics):
    text = format_results(metrics)
    for value in metrics.values():
        assert f'{value:.4f}' in text


def test_numpy_figures():
    assert 'loss  0.2500' in format_results({'loss': np.float32(0.25)})
