"""Leakage that was put into phantom slices on purpose is found, and nothing else."""

import json

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.config import Config

from mmcovid.data_tools.leakage import audit_splits, splits_of_files
from mmcovid.data_tools.leakage.audit import MIN_SIMILARITY
from mmcovid.data_tools.leakage.fingerprints import THUMBNAIL, nearest, similarity, take_fingerprint
from mmcovid.data_tools.phantom.patients import draw_patient, render_slice
from mmcovid.datasets.of_config import audit_splits_of
from mmcovid.results import Failure

SIZE = 192


def jpeg(image, quality=40):
    return cv2.imdecode(cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 0)


VARIANTS = {
    'recoded': jpeg,
    'cropped': lambda image: image[3:-2, 1:-4],
    'darker': lambda image: (image * 0.7 + 10).astype(np.uint8),
    'smaller': lambda image: cv2.resize(image, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA),
    'sixteen_bits': lambda image: image.astype(np.uint16) * 100 + 7,
}


def slice_of(patient, level=0.5, **options):
    return render_slice(draw_patient(0, patient, patient % 3), level, SIZE, **options)[0]


class Sets:
    """Writes slices and their annotation files below a folder."""

    def __init__(self, root):
        self.root = root

    def slices(self, name, images):
        """A list of slices, as COVIDx-CT has them; ``images`` by patient and number."""
        for (patient, number), image in images.items():
            path = self.root / 'images' / f'NCP_{patient}_{name}_{number}.png'
            path.parent.mkdir(exist_ok=True)
            cv2.imwrite(str(path), image)
        file = self.root / f'{name}.txt'
        file.write_text(
            ''.join(f'NCP_{patient}_{name}_{number}.png 2\n' for patient, number in images)
        )
        return str(file)

    def lesions(self, name, images):
        """COCO JSON with one instance; ``images`` by patient and number."""
        for (patient, number), image in images.items():
            path = self.root / 'images' / str(patient) / f'{number}.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), image)
        classes = 'lung', 'ggo', 'consolidation'
        file = self.root / f'{name}.json'
        file.write_text(
            json.dumps(
                dict(
                    categories=[dict(id=i, name=each) for i, each in enumerate(classes, 1)],
                    images=[
                        dict(
                            id=i,
                            file_name=f'{patient}/{number}.png',
                            width=SIZE,
                            height=SIZE,
                            patient_id=str(patient),
                        )
                        for i, (patient, number) in enumerate(images)
                    ],
                    annotations=[
                        dict(
                            id=1,
                            image_id=0,
                            category_id=1,
                            bbox=[0, 0, 4, 4],
                            area=16,
                            iscrowd=0,
                            segmentation=[[0, 0, 4, 0, 4, 4, 0, 4]],
                        )
                    ],
                )
            )
        )
        return str(file)

    def audit(self, *files, **options):
        splits = splits_of_files(list(files), [str(self.root / 'images')])
        return audit_splits(splits, workers=1, show_progress=False, **options)


@pytest.fixture
def sets(tmp_path):
    return Sets(tmp_path)


def found(audit):
    """Kind and name of each finding."""
    return {(overlap.kind, overlap.slices[1].rsplit('/', 1)[-1]) for overlap in audit.findings}


def test_independent_splits(sets):
    train = sets.slices('train', {(each, 0): slice_of(each) for each in range(6)})
    test = sets.slices('test', {(each, 0): slice_of(each) for each in range(6, 12)})
    audit = sets.audit(train, test)
    assert not audit.findings and not audit.unreadable and not audit.leaks


def test_each_kind_is_found_with_its_twin(sets):
    train = sets.slices('train', {(each, 0): slice_of(each) for each in range(8)})
    copies = {
        name: variant(slice_of(each)) for each, (name, variant) in enumerate(VARIANTS.items())
    }
    copies['exact'] = slice_of(6)
    test = sets.slices(
        'test',
        {
            (7, 0): slice_of(7, 0.7),
            (20, 0): slice_of(20),
            **{(100 + each, 0): image for each, image in enumerate(copies.values())},
        },
    )
    audit = sets.audit(train, test)
    twins = {finding.slices[1].rsplit('/', 1)[-1]: finding for finding in audit.findings}
    assert twins.pop('NCP_7_test_0.png').kind == 'patient'
    kinds = {'exact': 'exact'}
    for each, name in enumerate(copies):
        finding = twins.pop(f'NCP_{100 + each}_test_0.png')
        assert finding.kind == kinds.get(name, 'near'), name
        assert f'NCP_{6 if name == "exact" else each}_train_0.png' in finding.slices[0]
        assert MIN_SIMILARITY <= finding.similarity <= 1
    assert not twins
    assert len(audit.leaks) == len(copies) + 1


def test_other_slices_of_a_patient_are_not_taken_for_duplicates(sets):
    levels = np.linspace(0.3, 0.8, 6)
    train = sets.slices(
        'train', {(1, each): slice_of(1, level) for each, level in enumerate(levels)}
    )
    test = sets.slices(
        'test', {(1, each): slice_of(1, level + 0.02) for each, level in enumerate(levels)}
    )
    assert [finding.kind for finding in sets.audit(train, test).findings] == ['patient']


def test_lesion_set_and_slice_set(sets):
    lesions = sets.lesions('lesions', {(3, 0): slice_of(3), (4, 0): slice_of(4)})
    slices = sets.slices('slices', {(3, 0): slice_of(5), (8, 0): jpeg(slice_of(4))})
    audit = sets.audit(lesions, slices)
    assert {(finding.kind, finding.patients) for finding in audit.findings} == {
        ('same_id', ('3', '3')),
        ('near', ('4', '8')),
    }
    assert [finding.kind for finding in audit.leaks] == ['near']
    shared = sets.audit(lesions, slices, shared_ids=True)
    assert {finding.kind for finding in shared.leaks} == {'near', 'patient'}


def test_one_role_is_not_compared(sets):
    lesions = sets.lesions('lesions', {(3, 0): slice_of(3)})
    slices = sets.slices('slices', {(3, 0): slice_of(3)})
    test = sets.slices('test', {(9, 0): slice_of(9)})
    audit = sets.audit(f'train={lesions}', f'train={slices}', f'test={test}')
    assert audit.compared == [('train: lesions', 'test: test'), ('train: slices', 'test: test')]
    assert not audit.findings
    with pytest.raises(ValueError, match='two or more splits'):
        sets.audit(f'train={lesions}', f'train={slices}')


@pytest.mark.parametrize(
    'allow, left',
    [
        (['exact', 'patient'], set()),
        (
            ['exact:NCP_3_test_*', 'patient:3'],
            {('exact', 'NCP_4_test_0.png'), ('patient', 'NCP_4_test_0.png')},
        ),
        (['near', 'patient'], {('exact', 'NCP_3_test_0.png'), ('exact', 'NCP_4_test_0.png')}),
    ],
)
def test_allow(sets, allow, left):
    images = {(each, 0): slice_of(each) for each in (3, 4)}
    audit = sets.audit(sets.slices('train', images), sets.slices('test', images), allow=allow)
    assert len(audit.findings) == 4
    assert found(audit._replace(findings=audit.leaks)) == left


def test_allow_of_an_unknown_kind(sets):
    images = {(3, 0): slice_of(3)}
    with pytest.raises(ValueError, match='similar: no kind of leakage'):
        sets.audit(sets.slices('train', images), sets.slices('test', images), allow=['similar'])


def test_broken_files_are_counted(sets):
    images = {(each, 0): slice_of(each) for each in range(3)}
    train = sets.slices('train', images)
    test = sets.slices('test', {(each + 10, 0): image for (each, _), image in images.items()})
    broken = sets.root / 'images' / 'NCP_11_test_0.png'
    broken.write_bytes(broken.read_bytes()[:100])
    audit = sets.audit(train, test)
    assert list(audit.unreadable) == [str(broken)]
    failure = take_fingerprint(dict(img_path=str(broken)))
    assert failure == Failure(str(broken), audit.unreadable[str(broken)]) and failure.reason
    assert found(audit) == {('exact', 'NCP_10_test_0.png'), ('exact', 'NCP_12_test_0.png')}
    for path in sets.root.glob('images/*_test_*'):
        path.write_bytes(b'')
    with pytest.raises(ValueError, match='not one of its 3 slices can be read'):
        sets.audit(train, test)


def test_blank_slices_are_no_near_duplicates(sets):
    train = sets.slices('train', {(1, 0): np.full((64, 64), 0, np.uint8), (2, 0): slice_of(2)})
    test = sets.slices('test', {(3, 0): np.full((64, 64), 9, np.uint8)})
    assert not sets.audit(train, test).findings


def test_unknown_patients_are_not_one_patient(sets):
    images = sets.root / 'images'
    images.mkdir()
    for name, each in (('2_a.png', 1), ('2_b.png', 2)):
        cv2.imwrite(str(images / name), slice_of(each))
        (sets.root / f'{name}.txt').write_text(f'{name} 2\n')
    assert not sets.audit(*(str(path) for path in sets.root.glob('*.txt'))).findings


def test_splits_of_a_config(sets):
    sets.lesions('lesions_train', {(1, 0): slice_of(1)})
    sets.lesions('lesions_test', {(2, 0): slice_of(2)})
    sets.slices('train', {(5, 0): slice_of(5)})
    sets.slices('test', {(6, 0): slice_of(6), (7, 0): jpeg(slice_of(1))})
    common = dict(data_root=str(sets.root), data_prefix=dict(img='images'))
    lesions = dict(type='mmcovid.LesionDataset', **common)
    slices = dict(type='mmcovid.SliceDataset', **common)

    def loader(lesion_file, slice_file):
        return dict(
            dataset=dict(
                type='mmcovid.TwoTaskDataset',
                seg=dict(lesions, ann_file=lesion_file),
                cls=dict(slices, ann_file=slice_file),
            )
        )

    splits = audit_splits_of(
        Config(
            dict(
                train_dataloader=loader('lesions_train.json', 'train.txt'),
                val_dataloader=dict(
                    dataset=dict(
                        type='RepeatDataset',
                        times=2,
                        dataset=dict(lesions, ann_file='lesions_test.json'),
                    )
                ),
                test_dataloader=loader('lesions_test.json', 'test.txt'),
            )
        )
    )
    assert [split.name for split in splits] == [
        'train: lesions_train',
        'train: train',
        'val+test: lesions_test',
        'test: test',
    ]
    audit = audit_splits(splits, workers=2, show_progress=False)
    (finding,) = audit.findings
    assert finding.kind == 'near' and finding.splits == ('train: lesions_train', 'test: test')


def test_config_that_tests_on_the_training_list(sets):
    sets.slices('train', {(5, 0): slice_of(5)})
    loader = dict(
        dataset=dict(
            type='mmcovid.SliceDataset',
            ann_file='train.txt',
            data_root=str(sets.root),
            data_prefix=dict(img='images'),
        )
    )
    splits = audit_splits_of(Config(dict(train_dataloader=loader, test_dataloader=loader)))
    audit = audit_splits(splits, show_progress=False)
    assert {finding.kind for finding in audit.leaks} == {'patient', 'exact'}


def test_config_without_data():
    with pytest.raises(ValueError, match='nothing to look at'):
        audit_splits_of(Config())


def test_files_that_cannot_be_audited(sets):
    with pytest.raises(FileNotFoundError, match='no such annotation file'):
        splits_of_files(['absent.txt'], ['images'])
    for content in ('{', '[]', '{}'):
        (sets.root / 'bad.json').write_text(content)
        with pytest.raises(ValueError, match=r'bad\.json: no annotations'):
            splits_of_files([str(sets.root / 'bad.json')], ['images'])
    with pytest.raises(ValueError, match='3 image folders'):
        splits_of_files(['a.txt', 'b.txt'], ['a', 'b', 'c'])


def test_nearest_by_hamming_distance():
    rng = np.random.default_rng(0)
    known, queries = rng.random((300, 64)) < 0.5, rng.random((7, 64)) < 0.5
    ((distances, rows),) = nearest(queries, known, 4)
    exact = (queries[:, None] != known).sum(2)
    assert np.array_equal(distances, np.sort(exact, 1)[:, :4])
    assert np.array_equal(np.take_along_axis(exact, rows, 1), distances)


def test_similarity_is_that_of_the_detail(tmp_path):
    def thumbnail(image):
        cv2.imwrite(str(tmp_path / 'a.png'), image)
        return take_fingerprint(dict(img_path=str(tmp_path / 'a.png'))).thumbnail

    first, again, other = (
        thumbnail(image) for image in (slice_of(1), np.pad(slice_of(1), 2), slice_of(2))
    )
    assert similarity(first, first) == pytest.approx(1, abs=1e-3)
    assert similarity(first, again) > 0.9
    assert similarity(first, other) < 0.75


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.tuples(st.integers(1, 8), st.integers(1, 8)))
def test_similarity_of_anything_is_a_correlation(seed, cells):
    """Blank, smooth and noisy images, those for which no transform is found among them."""
    rng = np.random.default_rng(seed)
    images = [
        cv2.resize(rng.integers(0, 256, (each**2, each), np.uint8), (THUMBNAIL, THUMBNAIL))
        for each in cells
    ]
    assert -1 <= similarity(*images) <= 1
