import json
from collections import Counter

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mmcovid.data_tools import conversion
from mmcovid.data_tools.slice_lists import SliceEntry
from mmcovid.datasets import SliceDataset
from mmcovid.utils.files import sha256

NAMES = ('Normal_1_11_0000.png', 'CP_2_12_0001.png', 'NCP_3_13_0002.png')
LIST = '\n'.join(
    f'{name} {label} {box}'
    for label, (name, box) in enumerate(zip(NAMES, ('1 2 30 20', '1 2 30 20', '1 2 4 5')))
)


def gradient(dtype=np.uint8):
    return np.arange(24 * 32, dtype=dtype).reshape(24, 32)


@pytest.fixture
def root(tmp_path):
    (tmp_path / 'images').mkdir()
    for name in NAMES:
        cv2.imwrite(str(tmp_path / 'images' / name), gradient())
    (tmp_path / 'train.txt').write_text(LIST)
    return tmp_path


def convert(root, **kwargs):
    splits, _ = conversion.read_slice_splits([root / 'train.txt'], root / 'images')
    return conversion.write_slice_annotations(
        root / 'out', splits, root / 'images', show_progress=False, **kwargs
    )


def test_dataset_reads_what_is_written(root):
    totals = convert(root)['train']
    assert totals.classes == totals.patients == dict(normal=1, cp=1, covid19=1)
    written, listed = (
        SliceDataset(str(file), data_prefix=dict(img=str(root / 'images')))
        for file in (root / 'out' / 'train.json', root / 'train.txt')
    )
    assert list(written) == list(listed)
    content = json.loads((root / 'out' / 'train.json').read_text())
    assert content['metainfo']['image_root'] == '../images'
    assert content['data_list'][2] == dict(
        img_path=NAMES[2],
        gt_label=2,
        patient_id='3',
        scan_id='13',
        width=32,
        height=24,
        box=[1, 2, 4, 5],
    )


def test_json_can_be_converted_again(root):
    convert(root)
    (root / 'train.txt').unlink()
    splits, _ = conversion.read_slice_splits([root / 'out' / 'train.json'], root / 'images')
    assert [each.box for each in splits['train']][2] == (1, 2, 4, 5)


def test_cut_images(root):
    cv2.imwrite(str(root / 'images' / NAMES[2]), gradient(np.uint16) * 80)
    convert(root, crop=True, workers=2)
    cut = cv2.imread(str(root / 'out' / 'images' / NAMES[2]), cv2.IMREAD_UNCHANGED)
    assert cut.dtype == np.uint16
    assert (cut == gradient(np.uint16)[2:5, 1:4] * 80).all()  # ends are exclusive
    content = json.loads((root / 'out' / 'train.json').read_text())
    entry = content['data_list'][2]
    assert (entry['width'], entry['height'], entry['cut_to']) == (3, 3, [1, 2, 4, 5])
    assert 'box' not in entry and content['metainfo']['image_root'] == 'images'
    with pytest.raises(ValueError, match='would be overwritten'):
        conversion.write_slice_annotations(root, {}, root / 'images', crop=True)


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        ('CP_2_12_0001.png 1', 'no box to cut to'),
        ('CP_2_12_0001.png 1 1 2 33 20', r'box \[1, 2, 33, 20\] is not within the image of 32x24'),
        ('CP_2_12_0001.png 1 5 2 5 20', 'is not within'),
    ],
)
def test_bad_boxes(root, line, message):
    (root / 'train.txt').write_text(line)
    with pytest.raises(ValueError, match=message):
        convert(root, crop=True)
    assert not (root / 'out' / 'train.json').exists()


def test_same_bytes_again(root):
    def files():
        return {path: path.read_bytes() for path in (root / 'out').rglob('*.*')}

    convert(root, crop=True)
    first = files()
    assert len(first) == 5
    convert(root, crop=True, workers=3)
    assert files() == first


def test_card(root):
    convert(root, lists=[root / 'train.txt'], options=dict(seed=3))
    card = conversion.read_card(root / 'out')
    assert card['lists'] == {'train.txt': sha256(root / 'train.txt')}
    assert card['options'] == dict(seed=3, crop=False)
    assert card['splits']['train']['sources'] == dict(CNCB=dict(normal=1, cp=1, covid19=1))
    assert str(root) not in (root / 'out' / 'dataset_card.json').read_text()


def test_dry_run_writes_nothing(root):
    assert convert(root, crop=True, dry_run=True)['train'].slices == 3
    assert not (root / 'out').exists()


def test_images_that_cannot_be_read_are_all_named(root):
    (root / 'images' / NAMES[0]).write_bytes(b'')
    (root / 'images' / NAMES[2]).write_bytes(b'no image')
    with pytest.raises(ValueError, match='cannot be used, 2: ') as error:
        convert(root)
    assert NAMES[0] in str(error.value) and NAMES[2] in str(error.value)


def test_author_list_goes_out_and_comes_in(root):
    splits, _ = conversion.read_slice_splits([root / 'train.txt'], root / 'images')
    conversion.write_author_list(splits['train'], root / 'author.txt')
    assert (root / 'author.txt').read_text().split() == [
        '0_1_11_0000.png',
        '1_2_12_0001.png',
        '2_3_13_0002.png',
    ]
    again, _ = conversion.read_slice_splits([root / 'author.txt'], root / 'images')
    assert [each[:4] for each in again['author']] == [each[:4] for each in splits['train']]
    with pytest.raises(ValueError, match=r'1: STOIC-1-0001\.png'):
        conversion.write_author_list([SliceEntry('STOIC-1-0001.png', 2)], root / 'author.txt')


def test_missing_images(root):
    (root / 'images' / NAMES[1]).unlink()
    lists = [root / 'train.txt']
    with pytest.raises(FileNotFoundError, match=r'missing images, 1: CP_2_12_0001\.png'):
        conversion.read_slice_splits(lists, root / 'images')
    with pytest.warns(UserWarning, match='are left out'):
        splits, missing = conversion.read_slice_splits(lists, root / 'images', skip_missing=True)
    assert [each.name for each in splits['train']] == [NAMES[0], NAMES[2]]
    assert missing == [NAMES[1]]


def test_one_slice_in_two_lists(root):
    (root / 'test.txt').write_text('2_3_13_0002.png\n')  # in the author's spelling
    with pytest.raises(ValueError, match=r'test\.txt, line 1: NCP_3_13_0002\.png was already'):
        conversion.read_slice_splits([root / 'train.txt', root / 'test.txt'], root / 'images')


def test_patients_apart_but_unknown_ones():
    splits = dict(
        train=[SliceEntry('a', 0), SliceEntry('b', 0, '7')],
        test=[SliceEntry('c', 0), SliceEntry('d', 0, '7')],
    )
    with pytest.raises(ValueError, match=r'1: 7 \(train and test\)'):
        conversion.check_patients_apart(splits)


def test_sources_are_shown_where_there_are_several():
    data_list = [
        dict(img_path=name, gt_label=label, patient_id='unknown')
        for name, label in (('CP_2_12_0001.png', 1), ('STOIC-1-0001.png', 2))
    ]
    text = conversion.format_slice_totals(dict(train=conversion.count_slices(data_list)))
    assert 'from STOIC: 1 covid19' in text and '2 of unknown patients' in text


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5)), min_size=1, max_size=60),
    st.integers(1, 8),
    st.integers(0, 99),
)
def test_sampling_is_balanced_and_patients_come_first(rows, per_class, seed):
    entries = [
        SliceEntry(f'{number}.png', label, f'p{patient}')
        for number, (label, patient) in enumerate(rows)
    ]
    available = Counter(label for label, _ in rows)
    if min(available.values()) < per_class:
        with pytest.raises(ValueError, match='--per-class'):
            conversion.sample_balanced(entries, per_class, seed)
        return
    drawn = conversion.sample_balanced(entries, per_class, seed)
    assert drawn == conversion.sample_balanced(entries, per_class, seed)
    assert Counter(each.label for each in drawn) == dict.fromkeys(available, per_class)
    assert [each for each in entries if each in drawn] == drawn
    for label in available:
        has = Counter(each.patient for each in entries if each.label == label)
        took = Counter(each.patient for each in drawn if each.label == label)
        most = max(took.values())
        assert all(took[patient] >= min(number, most - 1) for patient, number in has.items())


def test_sampling_of_unknown_patients_and_seeds():
    entries = [SliceEntry(f'{number}.png', 2) for number in range(50)]
    draws = {tuple(conversion.sample_balanced(entries, 5, seed)) for seed in range(4)}
    assert len(draws) == 4 and {len(draw) for draw in draws} == {5}


def ictcf(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(gradient()).save(path)


@pytest.mark.parametrize(
    'names',
    [
        ('nCT/nCT10.jpg', 'nCT/nCT9.jpg', 'pCT/pCT1.jpg', 'NiCT/NiCT3.jpg', 'notes.txt/._x.png'),
        ('0_nCT10.jpg', '0_nCT9.jpg', '2_pCT1.jpg', 'NiCT3.jpg'),
    ],
)
def test_ictcf_layouts(tmp_path, names):
    ictcf(tmp_path, *names)
    slices, left_out = conversion.list_ictcf_slices(tmp_path)
    assert [(each.key, each.label) for each in slices] == [('nCT9', 0), ('nCT10', 0), ('pCT1', 2)]
    assert left_out == 1
    (tmp_path / 'train.txt').write_text('2_pCT1.jpg\nnCT9.jpg\n')
    picked = conversion.read_ictcf_split(tmp_path / 'train.txt', slices)
    assert [each.key for each in picked] == ['pCT1', 'nCT9']
    totals = conversion.write_slice_annotations(
        tmp_path / 'out', dict(train=picked), tmp_path, 'iCTCF', show_progress=False
    )['train']
    assert totals.classes == dict(normal=1, cp=0, covid19=1) and totals.without_patient == 2
    dataset = SliceDataset(str(tmp_path / 'out/train.json'), data_prefix=dict(img=str(tmp_path)))
    assert [info['gt_label'] for info in dataset] == [2, 0]


@pytest.mark.parametrize(
    ('names', 'message'),
    [
        (('nCT1.jpg', 'scan.jpg'), r'tell no class, 1: scan\.jpg'),
        (('2_nCT1.jpg',), r'tell no class, 1: 2_nCT1\.jpg'),
        (('nCT1.jpg', '0_nCT1.jpg'), 'are of one slice'),
    ],
)
def test_ictcf_names_that_are_refused(tmp_path, names, message):
    ictcf(tmp_path, *names)
    with pytest.raises(ValueError, match=message):
        conversion.list_ictcf_slices(tmp_path)


def test_ictcf_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'pCT2179\.jpg'):
        conversion.list_ictcf_slices(tmp_path)
