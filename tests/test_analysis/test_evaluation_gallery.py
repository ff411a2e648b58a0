import base64

import cv2
import numpy as np
import pytest
from ct_utils import chest, write_series
from predictions_utils import SIZE, box_mask, simulate_lesions

from mmcovid.analysis.evaluation.gallery import (
    SIDE,
    classification_gallery,
    lesion_gallery,
    read_thumbnail,
    worst,
)
from mmcovid.datasets import LesionDataset
from mmcovid.statistics.classification import Cases

CLASSES = ('lung', 'ggo', 'consolidation')


@pytest.fixture
def cases():
    rng = np.random.default_rng(0)
    scores = rng.dirichlet(np.ones(3), 60)
    return Cases(
        ids=np.array([f's{i}' for i in range(60)]), truth=np.arange(60) % 3,
        pred=scores.argmax(1), scores=scores, cluster=np.arange(60) // 6)


def test_worst_has_one_of_each_patient_first_and_no_right_slice():
    badness, patients = np.array([9., 8, 7, 6, 5]), np.array([0, 0, 0, 1, 2])
    wrong = np.array([True, True, True, True, False])
    assert worst(badness, wrong, patients, 2).tolist() == [0, 3]
    assert worst(badness, wrong, patients, 9).tolist() == [0, 1, 2, 3]


def test_classification_gallery_has_the_surest_errors(cases, tmp_path):
    cv2.imwrite(str(tmp_path / 'slice.png'), np.full((64, 64), 90, np.uint8))
    wrong = np.flatnonzero(cases.pred != cases.truth)
    paths = {name: 'slice.png' for name in cases.ids} | {str(cases.ids[wrong[0]]): 'none.png'}
    errors = classification_gallery(cases, paths, 1000, tmp_path)
    assert {entry['id'] for entry in errors} == set(cases.ids[wrong])
    assert [entry['id'] for entry in errors if entry['image'] is None] == [cases.ids[wrong[0]]]
    excess = [entry['score'] - entry['true_score'] for entry in errors]
    assert excess == sorted(excess, reverse=True) and excess[-1] >= 0
    few = classification_gallery(cases, paths, 5, tmp_path)
    assert len({int(entry['id'][1:]) // 6 for entry in few}) == 5


def test_thumbnails_of_dicom_and_of_slices_of_volumes(tmp_path):
    series = tmp_path / 'series'
    write_series(series, chest())
    for path in (f'{series}#001', next(series.iterdir())):
        image = read_thumbnail(path)
        assert image.dtype == np.uint8 and max(image.shape[:2]) == SIDE and image.shape[2] == 3
        assert np.ptp(image) > 0
    assert read_thumbnail(f'{series}#999') is None
    (tmp_path / 'broken.png').write_bytes(b'PNG')
    assert read_thumbnail(tmp_path / 'broken.png') is None
    assert read_thumbnail('') is None


def entry(name, true, found):
    """A slice of GGO boxes, the score of predicted ones is 0.9."""
    return dict(
        img_id=name, img_path=f'{name}.png', patient_id=name,
        instances=[dict(bbox_label=1, mask=box_mask(*box)) for box in true],
        pred_instances=dict(labels=[1] * len(found), scores=[0.9] * len(found),
                            masks=[box_mask(*box) for box in found]))


def test_lesion_gallery_is_by_dice_and_shows_truth_beside_prediction(tmp_path):
    slices = [
        entry('exact', [(5, 5, 10, 10)], [(5, 5, 10, 10)]), entry('empty', [], []),
        entry('half', [(5, 5, 10, 10)], [(5, 5, 10, 5)]),
        entry('missed', [(5, 5, 10, 10)], []), entry('invented', [], [(20, 20, 10, 10)])]
    cv2.imwrite(str(tmp_path / 'missed.png'), np.full((SIZE, SIZE), 100, np.uint8))
    errors = lesion_gallery(slices, CLASSES, 0.3, 10, tmp_path)
    assert [(e['id'], e['dice']) for e in errors] == [
        ('invented', {'ggo': 0.0}), ('missed', {'ggo': 0.0}), ('half', {'ggo': pytest.approx(2/3)})]
    assert [e['image'] is None for e in errors] == [True, False, True]
    data = base64.b64decode(errors[1]['image'].partition(',')[2])
    left, right = np.split(cv2.imdecode(np.frombuffer(data, np.uint8), 1)[:, :, ::-1],
                           [SIDE + 2], axis=1)
    amber = np.array(LesionDataset.METAINFO['palette'][1])

    def coloured(panel):
        return (np.abs(panel - (100 * 0.65 + amber * 0.35)).max(axis=2) < 12).mean()

    assert coloured(left) == pytest.approx(100 / SIZE**2, rel=0.25)  # 10 x 10 of 48 x 48 pixels
    assert coloured(right) == 0


def test_lesion_gallery_leaves_out_predictions_below_the_threshold():
    lesions = simulate_lesions()
    strict = lesion_gallery(lesions, CLASSES, 1.1, 100)
    assert len(strict) == len([e for e in lesions if e['instances']])
    assert all(value == 0 for e in strict for value in e['dice'].values())
