import numpy as np
import pytest
from ct_utils import chest

from mmcovid.classes import LESION_CLASSES, Classes
from mmcovid.ct import Grid
from mmcovid.ct.volume import make_volume
from mmcovid.results import ClassVolume, Failure
from mmcovid.scan_class import DecisionRules
from mmcovid.scans import Settings
from mmcovid.scans.measure import measure_scan
from mmcovid.scans.predict import Instance, Prediction, Slice


def prediction(scores, hu=None, labels=None, failures=(), spacing=(0.5, 0.8, 5)):
    """Of len(scores) slices, pictures without ``hu``; a ``'broken'`` one could not be read."""
    number = len(scores)
    volume = (
        None
        if hu is None
        else make_volume(
            hu,
            hu.shape,
            Grid(np.array(spacing), np.array([0, 0, 100.0]), np.eye(3)),
            dict(path='scan'),
        )
    )
    labels = np.zeros((number, 4, 4), np.uint8) if labels is None else labels
    slices = [
        Slice(i, f'{i}.png', labels[i], [], None if s is None else np.array(s, float))
        for i, s in enumerate(scores)
        if s != 'broken'
    ]
    return Prediction(slices, number, volume, (-600, 1500), list(failures))


def measure(*args, **kwargs):
    settings, classes = kwargs.pop('settings', {}), kwargs.pop('classes', Classes.of())
    return measure_scan(prediction(*args, **kwargs), classes, Settings(**settings))


SCORES = [[0.8, 0.1, 0.1], [0.1, 0.2, 0.7], [0.1, 0.3, 0.6], [0.6, 0.2, 0.2]]


@pytest.mark.parametrize(
    'aggregate, expected',
    [
        ('mean', [0.4, 0.2, 0.4]),
        ('max', [0.8 / 1.8, 0.3 / 1.8, 0.7 / 1.8]),
        ('vote', [0.5, 0, 0.5]),
        ('run', [0.8 / 3, 0.7 / 3, 1.5 / 3]),
    ],
)
def test_class_of_a_scan_by_rule(aggregate, expected):
    found = measure(SCORES, settings=dict(aggregate=aggregate)).classification
    assert list(found.scores.values()) == pytest.approx(expected)
    assert found.class_ == found.leading_class == ('covid19' if aggregate == 'run' else 'normal')
    assert found.num_slices == 4 and found.region == 'all' and found.decided


def test_class_is_read_from_the_slices_that_show_the_lung():
    hu = chest(5, 32)
    hu[[0, 4]] = 40  # no lung
    scores = [[1, 0, 0], [0, 0, 1], [0, 0, 1], [0, 0.5, 0.5], [1, 0, 0]]
    volume = dict(labels=np.zeros((5, 32, 32), np.uint8), spacing=(10, 10, 5))
    volume['labels'][4, :2], volume['labels'][2, 0] = 3, 2
    found = measure(scores, hu=hu, **volume)
    every = measure(scores, hu=hu, **volume, settings=dict(region='all')).classification
    nothing = measure(scores, hu=np.full_like(hu, 40), **volume)
    lung = found.classification
    assert (lung.region, lung.first_slice, lung.last_slice) == ('lung', 1, 3)
    assert lung.scores['covid19'] == pytest.approx(2.5 / 3) and lung.class_ == 'covid19'
    assert every.region == 'all' and every.scores['normal'] == pytest.approx(0.4)
    assert '67% of the lesion volume is on slices that do not show the lung' in found.notes[0]
    assert [row.in_region for row in found.slices] == [False, True, True, True, False]
    assert set(found.suspicious_slices) <= {1, 2, 3}
    assert nothing.classification.region == 'all'
    assert 'No slice shows the lung' in nothing.notes[0]


def test_volumes_and_areas():
    labels = np.zeros((2, 8, 8), np.uint8)
    labels[0, :4] = 1
    labels[0, 0, :4] = 2
    labels[1, :2] = 3
    result = measure(SCORES[:2], hu=chest(2, 8), labels=labels)
    ml = 0.5 * 0.8 * 5 / 1000
    volumes = result.volumes
    assert {name: entry.voxels for name, entry in volumes.items()} == dict(
        lung=48, ggo=4, consolidation=16, lesions=20
    )
    assert volumes['lung'].ml == pytest.approx(48 * ml)  # lesions are parts of it
    assert volumes['ggo'].share_of_lung == pytest.approx(4 / 48)
    first = result.slices[0]
    assert first.area_mm2 == pytest.approx(dict(lung=32 * 0.4, ggo=4 * 0.4, consolidation=0))
    assert [row.z_mm for row in result.slices] == [100, 105]


def test_lesions_of_slices_are_joined():
    labels = np.zeros((2, 8, 8), np.uint8)
    labels[:, 2:6, 1:7] = 1
    labels[0, 3, 2] = labels[1, 3, 3] = 2
    known = prediction(SCORES[:2], hu=chest(2, 8), labels=labels)
    known.slices[0].instances = [Instance(1, 0.4, [0.0] * 4, 1, [(3, 2)])]
    known.slices[1].instances = [Instance(1, 0.7, [0.0] * 4, 1, [(3, 3)])]
    found = measure_scan(known, Classes.of(), Settings(least_lesion_ml=0)).lesions_3d
    (lesion,) = found.lesions
    assert (lesion.voxels, lesion.score, lesion.voxel) == (2, 0.7, (2, 3, 0))
    assert lesion.ml == pytest.approx(2 * 0.5 * 0.8 * 5 / 1000) and lesion.side == 'right'
    every = measure_scan(known, Classes.of(), Settings()).lesions_3d
    assert (every.count, every.left_out) == (0, 1)
    assert measure(SCORES).lesions_3d is None  # of pictures


def test_pictures_tell_no_size_and_an_empty_scan_no_share():
    result = measure(SCORES)
    assert result.slices[0].z_mm is None
    assert result.slices[0].area_mm2 == dict.fromkeys(LESION_CLASSES)
    assert result.volumes['ggo'] == ClassVolume(voxels=0, ml=None, share_of_lung=None)


def test_undecided_below_the_threshold():
    found = measure(SCORES[1:3], settings=dict(abstain_below=0.66))
    assert found.classification.class_ == 'undecided'
    assert found.classification.leading_class == 'covid19'
    assert not found.classification.decided
    assert [row.class_ for row in found.slices] == ['covid19', 'undecided']
    assert measure(SCORES[1:3], settings=dict(abstain_below=0.64)).classification.decided


def test_a_broken_slice_is_told_and_the_others_count():
    failures = [Failure('1.png', 'truncated')]
    result = measure([[1, 0, 0], 'broken', [0, 0, 1]], failures=failures)
    assert result.classification.num_slices == 2
    assert [row.index for row in result.slices] == [0, 2]
    assert '1 of 3 slices could not be read' in result.notes[0]


def test_models_of_one_task_only():
    segmenter = measure([None, None])
    assert segmenter.classification is None and segmenter.slices[0].scores is None
    classifier = prediction(SCORES)
    for each in classifier.slices:
        each.labels = None
    result = measure_scan(classifier, Classes.of(), Settings())
    assert result.volumes is None and result.slices[0].lesions is None
    assert result.classification.class_ == 'normal'


def test_suspicious_slices_are_no_neighbours_and_speak_for_the_class():
    scores = [[0.5 - i / 200, 0.2, 0.3 + i / 200] for i in range(60)]
    chosen = measure(scores, settings=dict(aggregate='max')).suspicious_slices
    assert len(chosen) == 6 and max(chosen) == 59
    assert np.diff(chosen).min() > 3
    normal = measure([[0.9 - i / 200, 0.05, 0.05 + i / 200] for i in range(20)])
    assert normal.classification.class_ == 'normal' and 19 in normal.suspicious_slices


def test_lung_and_normal_are_told_by_their_roles():
    classes = Classes.of(
        ('ggo', 'Lunge', 'lung'),
        ('ill', 'gesund', 'normal'),
        roles=dict(Lunge='lung', lung='lesion', gesund='normal', normal='disease'),
    )
    labels = np.zeros((2, 4, 4), np.uint8)
    labels[0, 0], labels[0, 1], labels[1, :2] = 1, 3, 2
    scores = [[0.1, 0.8, 0.1], [0.05, 0.9, 0.05]]
    found = measure(scores, labels=labels, classes=classes)
    assert {name: entry.voxels for name, entry in found.volumes.items()} == dict(
        ggo=4, Lunge=16, lung=4, lesions=8
    )
    assert found.classification.leading_class == 'gesund'
    many = measure([[(i + 1) / 100, 0.9 - i / 100, 0.05] for i in range(20)], classes=classes)
    assert 19 in many.suspicious_slices  # of a normal scan, most against it


def measure_distances(distances, threshold, **settings):
    known = prediction(SCORES[: len(distances)])
    known.distance_threshold = threshold
    for kept, distance in zip(known.slices, distances):
        kept.feature_distance = distance
    return measure_scan(known, Classes.of(), Settings(**settings))


def test_a_scan_is_as_familiar_as_its_slices_in_the_mean():
    found = measure_distances([9.0, 11.0, 12.0], threshold=10.0)
    assert found.familiarity.distance == pytest.approx(32 / 3)
    assert (found.familiarity.num_unfamiliar, found.familiarity.num_slices) == (2, 3)
    assert not found.familiarity.familiar and 'unlike the training data' in found.notes[0]
    assert [row.familiar for row in found.slices] == [True, False, False]
    assert found.classification.decided  # nobody asked to abstain
    like = measure_distances([9.0, 9.5, 12.0], threshold=11.0)
    assert like.familiarity.familiar and not like.notes
    assert like.familiarity.num_unfamiliar == 1


def test_only_the_slices_that_the_class_is_read_from_make_a_scan_unfamiliar():
    hu = chest(3, 32)
    hu[0] = 40  # no lung
    known = prediction(
        SCORES[:3], hu=hu, labels=np.zeros((3, 32, 32), np.uint8), spacing=(10, 10, 5)
    )
    known.distance_threshold = 10.0
    for kept, distance in zip(known.slices, (99.0, 9.0, 9.0)):
        kept.feature_distance = distance
    found = measure_scan(known, Classes.of(), Settings())
    assert found.familiarity.familiar and found.familiarity.num_slices == 2
    assert [row.familiar for row in found.slices] == [False, True, True]


def test_abstains_from_what_is_unfamiliar():
    found = measure_distances([9.0, 11.0, 12.0], threshold=10.0, abstain_unfamiliar=True)
    assert found.classification.class_ == 'undecided' and not found.classification.decided
    assert [row.decided for row in found.slices] == [True, False, False]
    like = measure_distances([9.0, 11.0, 9.0], threshold=10.0, abstain_unfamiliar=True)
    assert like.classification.decided and not like.slices[1].decided


def test_distances_that_are_no_numbers_are_unfamiliar():
    found = measure_distances([9.0, float('nan')], threshold=10.0)
    assert not found.familiarity.familiar and found.familiarity.num_unfamiliar == 1


def test_without_a_threshold_nothing_is_said():
    found = measure(SCORES)
    assert found.familiarity is None and found.slices[0].familiar is None and not found.notes


def test_decision_rules_of_a_scan():
    """Sets are of scores as they are; the class is that at the stated prevalence."""
    rules = DecisionRules(
        temperature=1,
        aggregate='mean',
        unit_temperature=1,
        prior=dict(normal=0.2, cp=0.4, covid19=0.4),
        set_coverage=0.9,
        set_thresholds=dict(normal=0.5, cp=0.3, covid19=0.35),
        prevalence=dict(normal=0.8, cp=0.1, covid19=0.1),
    )
    scores = [[0.2, 0.3, 0.5]] * 2
    before = measure(scores).classification
    found = measure(scores, settings=dict(decision_rules=rules)).classification
    assert before.class_ == 'covid19' and before.prediction_set is None
    assert found.prediction_set == ('cp', 'covid19')
    assert found.class_ == 'normal' and found.score == pytest.approx(0.8 / (0.8 + 0.075 + 0.125))
