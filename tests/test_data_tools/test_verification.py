import json

import numpy as np
import pytest
from ct_utils import chest, write_slice
from mmengine.config import Config
from PIL import Image

from mmcovid.data_tools import conversion, verification
from mmcovid.data_tools.annotation_checks import ANNOTATION_WARNINGS
from mmcovid.datasets.of_config import slice_sets
from mmcovid.registry import DATASETS

SIZE = (20, 30)


def noise(*shape, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, 255, shape, dtype)


@pytest.fixture
def root(tmp_path):
    """Three pairs of the lesion set and two slices of a list, converted."""
    mask = np.zeros(SIZE, np.uint8)
    mask[2:14, 2:14] = 1
    for number in range(3):
        for kind, array, suffix in (('image', noise(*SIZE), 'jpg'), ('mask', mask, 'png')):
            path = tmp_path / f'seg/{kind}/7/{number}.{suffix}'
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(path)
    conversion.write_lesion_annotations(
        tmp_path / 'annotations',
        dict(train=conversion.list_lesion_slices(tmp_path / 'seg')),
        min_area=10,
        show_progress=False,
    )
    (tmp_path / 'images').mkdir()
    for name in ('CP_1_1_1.png', 'NCP_2_2_2.png'):
        Image.fromarray(noise(*SIZE)).save(tmp_path / 'images' / name)
    (tmp_path / 'slices.txt').write_text('CP_1_1_1.png 1\nNCP_2_2_2.png 2\n')
    splits, _ = conversion.read_slice_splits([tmp_path / 'slices.txt'], tmp_path / 'images')
    conversion.write_slice_annotations(
        tmp_path / 'lists', splits, tmp_path / 'images', show_progress=False
    )
    return tmp_path


def verify(root):
    sets = [
        verification.read_set(root / name)
        for name in ('annotations/train.json', 'lists/slices.json')
    ]
    found = verification.verify(sets, workers=2, show_progress=False)
    return [(each.name, each.problem) for each in without_warnings(found)]


def without_warnings(found):
    """What is not owed to how small the set is."""
    return [each for each in found if each.problem not in ANNOTATION_WARNINGS]


def cut_off(path):
    path.write_bytes(path.read_bytes()[:-40])


def test_whole_sets_have_no_findings(root):
    assert verify(root) == []


LESION, SLICE = 'seg/image/7/1.jpg', 'images/NCP_2_2_2.png'
MASK = 'seg/mask/7/1.png'


@pytest.mark.parametrize(
    ('file', 'breaks', 'problem'),
    [
        (LESION, lambda path: path.unlink(), 'missing'),
        (SLICE, lambda path: path.unlink(), 'missing'),
        (SLICE, lambda path: path.write_bytes(b''), 'empty'),
        (SLICE, lambda path: path.write_bytes(b'<html>'), 'unreadable'),
        (LESION, cut_off, 'truncated'),
        (SLICE, cut_off, 'truncated'),
        (LESION, lambda path: Image.fromarray(noise(20, 31)).save(path), 'wrong size'),
        (SLICE, lambda path: Image.fromarray(noise(20, 31)).save(path), 'wrong size'),
        (SLICE, lambda path: Image.new('L', SIZE[::-1], 7).save(path), 'constant'),
        (SLICE, lambda path: Image.new('RGBA', SIZE[::-1]).save(path), 'constant'),
        (SLICE, lambda path: Image.fromarray(noise(*SIZE, dtype=np.uint16)).save(path), '16 bit'),
        (SLICE, lambda path: Image.fromarray(noise(*SIZE, 3)).save(path), 'colour'),
        (MASK, lambda path: path.unlink(), 'missing mask'),
        (MASK, cut_off, 'bad mask'),
        (MASK, lambda path: Image.new('L', SIZE[::-1], 4).save(path), 'bad mask'),
        (MASK, lambda path: Image.new('L', (3, 3), 1).save(path), 'wrong mask size'),
    ],
)
def test_broken_files(root, file, breaks, problem):
    breaks(root / file)
    name = '7/1.jpg' if file != SLICE else 'NCP_2_2_2.png'
    assert (name, problem) in verify(root)
    assert {each for each, _ in verify(root)} == {name}


def test_small_sets_are_warned_of(root):
    lesions = verification.read_set(root / 'annotations/train.json')
    slices = verification.read_set(root / 'lists/slices.json')
    assert [each.detail for each in lesions.findings] == [
        'has nothing of the class ggo',
        'has nothing of the class consolidation',
        'has slices of patient 7 only',
    ]
    assert [each.detail for each in slices.findings] == ['has nothing of the class normal']


def test_lesions_that_cannot_be_trained_on(root):
    def edit(coco):
        coco['annotations'][0]['bbox'] = [2, 2, 40, 4]
        del coco['annotations'][1]['segmentation']

    change(root / 'annotations/train.json', edit)
    (root / 'annotations/dataset_card.json').unlink()
    assert verify(root) == [('7/0.jpg', 'box outside'), ('7/1.jpg', 'no mask')]


def test_a_picture_bomb_is_named_and_not_decoded(root):
    Image.new('1', (20_000, 20_000)).save(root / SLICE)
    ((name, problem),) = verify(root)
    assert (name, problem) == ('NCP_2_2_2.png', 'unreadable')


def test_a_format_that_opencv_does_not_read(root):
    Image.fromarray(noise(*SIZE)).save(root / SLICE, format='ICO', sizes=[SIZE[::-1]])
    assert ('NCP_2_2_2.png', 'unreadable') in verify(root)


def test_dicom_slices(tmp_path):
    hu = chest(1)[0]
    for name in 'abc':
        write_slice(tmp_path / f'{name}.dcm', hu)
    cut_off(tmp_path / 'b.dcm')
    write_slice(tmp_path / 'c.dcm', np.full_like(hu, -1000))
    (tmp_path / 'slices.txt').write_text('a.dcm 0\nb.dcm 1\nc.dcm 2\nd.dcm 2\n')
    found = verification.verify(
        [verification.read_set(tmp_path / 'slices.txt', tmp_path)], show_progress=False
    )
    assert [(each.name, each.problem) for each in found] == [
        ('b.dcm', 'unreadable'),
        ('c.dcm', 'constant'),
        ('d.dcm', 'missing'),
    ]


def change(file, edit):
    content = json.loads(file.read_text())
    edit(content)
    file.write_text(json.dumps(content))


def test_annotations_that_are_not_as_converted(root):
    change(root / 'annotations/train.json', lambda coco: coco['annotations'].pop())
    change(root / 'lists/slices.json', lambda lists: lists['data_list'][0].update(gt_label=2))
    sets = [
        verification.read_set(root / name)
        for name in ('annotations/train.json', 'lists/slices.json')
    ]
    first, second = without_warnings(verification.verify(sets, show_progress=False))
    assert first.problem == second.problem == 'not as converted'
    assert "'lung': 2" in first.detail and "the card says {'lung': 3" in first.detail
    assert "classes: {'normal': 0, 'cp': 0, 'covid19': 2}" in second.detail


def test_duplicates(root):
    (root / 'lists/dataset_card.json').unlink()
    change(
        root / 'lists/slices.json', lambda lists: lists['data_list'].append(lists['data_list'][0])
    )
    assert verify(root) == [('CP_1_1_1.png', 'duplicate')]


def test_broken_annotations(root):
    (root / 'annotations/train.json').write_text('{"images": ')
    change(root / 'lists/slices.json', lambda lists: lists.pop('data_list'))
    assert verify(root) == [('', 'bad annotations')] * 2


def test_config_and_quarantine(root):
    lesions = dict(
        type='mmcovid.LesionDataset',
        data_root=str(root),
        ann_file='annotations/train.json',
        data_prefix=dict(img='seg/image/'),
    )
    slices = dict(
        type='mmcovid.SliceDataset',
        data_root=str(root),
        ann_file='slices.txt',
        data_prefix=dict(img='images'),
    )
    both = dict(type='mmcovid.TwoTaskDataset', seg=lesions, cls=slices)
    repeated = dict(type='RepeatDataset', times=2, dataset=slices)
    config = Config(
        dict(
            train_dataloader=dict(dataset=both),
            val_dataloader=dict(dataset=repeated),
            test_dataloader=dict(dataset=dict(slices, ann_file='absent.txt')),
        )
    )
    cut_off(root / LESION)
    (root / SLICE).unlink()
    sets = slice_sets(config)
    assert [len(each.slices) for each in sets] == [3, 2, 0]
    findings = without_warnings(verification.verify(sets, show_progress=False))
    assert [each.problem for each in findings] == ['truncated', 'missing', 'bad annotations']
    text = verification.format_findings(sets, findings)
    assert 'truncated' in text and 'NCP_2_2_2.png' in text and 'absent.txt' in text

    verification.write_verification(root / 'report', sets, findings)
    report = json.loads((root / 'report/verification.json').read_text())
    assert report['errors'] == 3 and report['findings'][0]['name'] == '7/1.jpg'
    # a run goes on with what is left
    for options, left in ((lesions, 2), (slices, 1)):
        dataset = DATASETS.build(dict(options, skip_list=str(root / 'report/quarantine.txt')))
        assert len(dataset) == left


def test_nothing_to_verify(root):
    with pytest.raises(ValueError, match='nothing to look at'):
        slice_sets(Config(dict(model=dict())))
    with pytest.raises(ValueError, match='--images'):
        verification.read_set(root / 'slices.txt')
    with pytest.raises(FileNotFoundError, match='no such annotations'):
        verification.read_set(root / 'absent.json')
    findings = verification.read_set(root / 'slices.txt', root / 'images').findings
    assert without_warnings(findings) == []
