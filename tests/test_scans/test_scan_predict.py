import numpy as np
import pytest
import SimpleITK as sitk
from ct_utils import chest, write_series
from known_predictor import KnownPredictor

from mmcovid.results import Failure
from mmcovid.scans import find_scans
from mmcovid.scans.predict import predict_scan


def test_instances_below_the_threshold_are_left_out(tmp_path):
    labels = np.full((2, 8, 8), 3, np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(labels), str(tmp_path / 'known.nrrd'))
    series = write_series(tmp_path / 'series', chest(2, 8))
    (scan,) = find_scans([series])[0].values()
    model = KnownPredictor(tmp_path / 'known.nrrd')
    assert len(predict_scan(model, scan, score_thr=0.3).slices[0].instances) == 3
    found = predict_scan(model, scan, score_thr=0.75).slices[0]
    assert [instance.label for instance in found.instances] == [0, 1]
    assert not found.labels.any()  # it was consolidation, of 0.7
    model.scores = [[0.1, float('nan'), 0.2]] * 2
    with pytest.raises(ValueError, match=r'series#000: its scores are not finite'):
        predict_scan(model, scan)


def test_an_instance_is_known_by_a_pixel_of_each_piece_of_lesion_that_it_reaches(tmp_path):
    labels = np.zeros((1, 8, 8), np.uint8)
    labels[0, 0, :3] = 2  # two pieces of GGO, and a consolidation that touches the first one
    labels[0, 6, 5:] = 2
    labels[0, 1, 3] = 3
    sitk.WriteImage(sitk.GetImageFromArray(labels), str(tmp_path / 'known.nrrd'))
    (scan,) = find_scans([write_series(tmp_path / 'series', chest(1, 8))])[0].values()
    found = predict_scan(KnownPredictor(tmp_path / 'known.nrrd'), scan, score_thr=0.3).slices[0]
    assert {instance.label: instance.points for instance in found.instances} == {
        0: [],
        1: [(0, 0), (6, 5)],
        2: [(1, 3)],
    }


def test_failures_keep_the_others_in_their_places(tmp_path):
    sitk.WriteImage(
        sitk.GetImageFromArray(np.ones((4, 8, 8), np.uint8)), str(tmp_path / 'known.nrrd')
    )
    (scan,) = find_scans([write_series(tmp_path / 'series', chest(4, 8))])[0].values()
    model = KnownPredictor(tmp_path / 'known.nrrd', broken=(0, 2))
    found = predict_scan(model, scan)
    assert [kept.index for kept in found.slices] == [1, 3] and found.number == 4
    assert found.failures == [Failure(f'{scan.path}#{i:03d}', 'truncated') for i in (0, 2)]
    assert found.label_map().any((1, 2)).tolist() == [False, True, False, True]
    model.broken = range(4)
    with pytest.raises(ValueError, match=r'truncated \(and 3 more\)'):
        predict_scan(model, scan)


def test_a_predictor_that_leaves_slices_out_is_no_predictor(tmp_path):
    sitk.WriteImage(
        sitk.GetImageFromArray(np.ones((3, 8, 8), np.uint8)), str(tmp_path / 'known.nrrd')
    )
    (scan,) = find_scans([tmp_path / 'known.nrrd'])[0].values()
    model = KnownPredictor(tmp_path / 'known.nrrd')
    model.predict = lambda paths, *_: KnownPredictor.predict(model, paths[:2])
    with pytest.raises(ValueError, match='shorter'):
        predict_scan(model, scan)
