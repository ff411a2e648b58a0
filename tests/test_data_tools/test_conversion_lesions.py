import json

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from pycocotools import mask as rle
from pycocotools.coco import COCO

from mmcovid.data_tools import conversion
from mmcovid.utils.files import sha256

LUNG, GGO, CONSOLIDATION = 1, 2, 3


def write_slice(root, key, mask, image=None):
    image = mask if image is None else image
    for kind, array, suffix in (('image', image, 'jpg'), ('mask', mask, 'png')):
        path = root / kind / f'{key}.{suffix}'
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), array)


def blank(height=30, width=40):
    return np.zeros((height, width), np.uint8)


@pytest.fixture
def root(tmp_path):
    """Patients 2 (slices 1 and 10), 9 and 10, a lung of 12x12 and a lesion of 5x5 in each."""
    for key, value in (('2/1', GGO), ('2/10', CONSOLIDATION), ('9/0', CONSOLIDATION), ('10/0', 0)):
        mask = blank()
        mask[4:16, 4:16] = LUNG
        mask[6:11, 6:11] = value
        write_slice(tmp_path, key, mask)
    return tmp_path


def convert(root, splits=None, **kwargs):
    splits = splits or {'lesions_all': conversion.list_lesion_slices(root)}
    kwargs = dict(min_area=10, show_progress=False, **kwargs)
    return conversion.write_lesion_annotations(root / 'out', splits, **kwargs)


def test_pairs_in_natural_order(root):
    slices = conversion.list_lesion_slices(root)
    assert [each.key for each in slices] == ['2/1', '2/10', '9/0', '10/0']


def test_json_reads_back_as_the_masks(root, capsys):
    totals = convert(root)['lesions_all']
    assert totals == conversion.SplitTotals(
        slices=4,
        patients=3,
        without_lesion=1,
        empty=0,
        instances=dict(lung=4, ggo=1, consolidation=2),
        too_small=dict(lung=0, ggo=0, consolidation=0),
        slices_with=dict(lung=4, ggo=1, consolidation=2),
        patients_with=dict(lung=3, ggo=1, consolidation=2),
        areas=dict(lung=[119, 119.0, 119], ggo=[25, 25.0, 25], consolidation=[25, 25.0, 25]),
    )
    coco = COCO(str(root / 'out' / 'lesions_all.json'))
    assert [category['name'] for category in coco.loadCats([1, 2, 3])] == [
        'lung',
        'ggo',
        'consolidation',
    ]
    for image in coco.loadImgs(coco.getImgIds()):
        mask = cv2.imread(str(root / 'mask' / image['file_name'].replace('jpg', 'png')), -1)
        assert (image['height'], image['width']) == mask.shape
        assert image['patient_id'] == image['file_name'].split('/')[0]
        again = blank()
        for annotation in coco.loadAnns(coco.getAnnIds(image['id'])):
            again[coco.annToMask(annotation) > 0] = annotation['category_id']
        assert (again == mask).all()


def test_class_is_the_value_and_not_its_rank():
    """Consolidation stays so in a slice that has no GGO, or not even lung."""
    mask = blank()
    mask[2:20, 2:20] = CONSOLIDATION
    (only,), _ = conversion.find_instances(mask)
    assert only['category_id'] == CONSOLIDATION


def test_min_area_is_exclusive_and_dropped_are_counted():
    mask = blank()
    mask[0:10, 0:10] = GGO  # 100 pixels
    mask[15:26, 0:10] = GGO  # 110 pixels
    instances, too_small = conversion.find_instances(mask)
    assert [each['area'] for each in instances] == [110]
    assert instances[0]['bbox'] == [0, 15, 10, 11]
    assert too_small == {'ggo': 1}


def test_diagonal_neighbours_are_one_instance():
    mask = blank()
    mask[0:5, 0:5] = mask[5:10, 5:10] = GGO
    assert len(conversion.find_instances(mask, min_area=1)[0]) == 1


def test_merged_lesions():
    mask = blank()
    mask[0:5, 0:5] = GGO
    mask[5:10, 0:5] = CONSOLIDATION
    instances, _ = conversion.find_instances(mask, conversion.MERGED_CLASS_VALUES, 10)
    assert [(each['category_id'], each['area']) for each in instances] == [(2, 50)]


def test_merged_categories_in_json(root):
    assert convert(root, merge_lesions=True)['lesions_all'].instances == dict(lung=4, lesion=3)
    content = json.loads((root / 'out' / 'lesions_all.json').read_text())
    assert content['categories'] == [dict(id=1, name='lung'), dict(id=2, name='lesion')]


@given(hnp.arrays(np.uint8, (9, 11), elements=st.integers(0, 3)))
def test_instances_partition_any_mask(mask):
    instances, too_small = conversion.find_instances(mask, min_area=0)
    assert not too_small
    again = np.zeros_like(mask)
    for each in instances:
        region = rle.decode(each['segmentation']).astype(bool)
        assert region.sum() == each['area'] and not again[region].any()
        x, y, width, height = each['bbox']
        rows, cols = np.nonzero(region)
        assert (cols.min(), rows.min(), np.ptp(cols) + 1, np.ptp(rows) + 1) == (x, y, width, height)
        again[region] = each['category_id']
    assert (again == mask).all()


def test_same_bytes_again(root):
    def files():
        return {path.name: path.read_bytes() for path in (root / 'out').iterdir()}

    convert(root)
    first = files()
    assert sorted(first) == ['dataset_card.json', 'lesions_all.json']
    convert(root, workers=3)
    assert files() == first


@pytest.mark.parametrize('line', ['{patient}_{number}.jpg', '{patient}/{number}.jpg'])
def test_split_file(root, line):
    slices = conversion.list_lesion_slices(root)
    names = [line.format(patient=patient, number=number) for patient, number in ((2, 10), (9, 0))]
    (root / 'train.txt').write_text('\n'.join(names) + '\n\n')
    assert [each.key for each in conversion.read_split(root / 'train.txt', slices)] == [
        '2/10',
        '9/0',
    ]


def test_bad_split_files(root):
    slices = conversion.list_lesion_slices(root)
    file = root / 'train.txt'
    with pytest.raises(FileNotFoundError, match='no such split file'):
        conversion.read_split(file, slices)
    for content, error, message in (
        ('2_1.jpg\n2_7.jpg', FileNotFoundError, r'1: 2_7\.jpg'),
        ('2_1.jpg\n2/1.jpg', ValueError, 'twice, 1: 2/1'),
        ('\n', ValueError, 'lists no slice'),
    ):
        file.write_text(content)
        with pytest.raises(error, match=message):
            conversion.read_split(file, slices)


@given(st.floats(0.17, 0.83), st.integers(0, 2**16))
def test_random_split_is_by_patient(fraction, seed):
    slices = [
        conversion.LesionSlice(str(patient), str(number), None, None)
        for patient in range(6)
        for number in range(2)
    ]
    splits = conversion.random_split(slices, fraction, seed)
    assert splits == conversion.random_split(slices, fraction, seed)
    train, val = splits['lesions_train'], splits['lesions_val']
    assert sorted(train + val) == sorted(slices)
    assert len({each.patient for each in val}) == round(fraction * 6)
    conversion.check_patients_apart(splits)


@pytest.mark.parametrize('fraction', [0, 0.01, 1, -1])
def test_random_split_with_an_empty_side(root, fraction):
    with pytest.raises(ValueError, match='3 patients'):
        conversion.random_split(conversion.list_lesion_slices(root), fraction, 0)


def test_patient_in_two_splits(root):
    first, second, *_ = conversion.list_lesion_slices(root)
    splits = dict(train=[first], test=[second])
    with pytest.raises(ValueError, match=r'1: 2 \(train and test\)'):
        conversion.check_patients_apart(splits)
    with pytest.warns(UserWarning, match=r'2 \(train and test\)'):
        conversion.check_patients_apart(splits, only_warn=True)


def test_lonely_files(root):
    (root / 'mask/9/0.png').unlink()
    with pytest.raises(FileNotFoundError, match='images without a mask, 1: 9/0'):
        conversion.list_lesion_slices(root)
    slices, lonely = conversion.pair_lesion_files(root)
    with pytest.warns(UserWarning, match='images without a mask, 1: 9/0'):
        conversion.check_pairs(root, lonely, only_warn=True)
    assert [each.key for each in slices] == ['2/1', '2/10', '10/0']
    (root / 'image/9/0.jpg').unlink()
    (root / 'image/2/1.jpg').unlink()
    with pytest.raises(FileNotFoundError, match='masks without an image, 1: 2/1'):
        conversion.list_lesion_slices(root)
    with pytest.raises(FileNotFoundError, match='holds image/ and mask/'):
        conversion.list_lesion_slices(root / 'image')


def test_split_file_may_list_what_is_skipped(root):
    (root / 'mask/9/0.png').unlink()
    (root / 'train.txt').write_text('9_0.jpg\n10/0.jpg\n')
    slices, lonely = conversion.pair_lesion_files(root)
    assert [each.key for each in conversion.read_split(root / 'train.txt', slices, ['9/0'])] == [
        '10/0'
    ]
    with pytest.raises(FileNotFoundError, match=r'1: 9_0\.jpg'):
        conversion.read_split(root / 'train.txt', slices)


def test_flat_layout_is_the_same_set(root, tmp_path_factory):
    flat = tmp_path_factory.mktemp('flat')
    for path in root.glob('*/*/*'):
        target = flat / path.parts[-3] / f'{path.parts[-2]}_{path.name}'
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(path.read_bytes())
    assert convert(flat) == convert(root)
    first, second = (
        json.loads((each / 'out/lesions_all.json').read_text()) for each in (root, flat)
    )
    assert first['annotations'] == second['annotations']
    for image, content in ((flat / 'image', second), (root / 'image', first)):
        for each in content['images']:
            assert (image / each['file_name']).is_file()
            assert (image.parent / 'mask' / each['mask_file_name']).is_file()


def test_names_without_patient(root):
    (root / 'image/slice7.jpg').write_bytes(b'')
    with pytest.raises(ValueError, match=r'tell no patient, 1: slice7\.jpg'):
        conversion.list_lesion_slices(root)


@pytest.mark.parametrize('form', ['palette', 'RGB', 'RGBA', 'LA', 'I;16'])
def test_masks_of_other_modes(tmp_path, form):
    mask = np.arange(4, dtype=np.uint8).reshape(2, 2)
    grey = Image.fromarray(mask)
    if form == 'palette':
        image = grey.copy()
        image.putpalette([0, 0, 0, 9, 9, 9, 50, 0, 0, 255, 0, 0])
    else:
        image = Image.fromarray(mask.astype(np.uint16)) if form == 'I;16' else grey.convert(form)
    image.save(tmp_path / 'mask.png')
    assert conversion.read_mask(tmp_path / 'mask.png').tolist() == mask.tolist()


def test_colour_masks_are_refused(tmp_path):
    mask = np.zeros((2, 2, 3), np.uint8)
    mask[0, 0] = 1, 0, 0
    Image.fromarray(mask).save(tmp_path / 'mask.png')
    with pytest.raises(ValueError, match='channels differ'):
        conversion.read_mask(tmp_path / 'mask.png')


def test_empty_masks_are_counted(root):
    write_slice(root, '10/0', blank())
    totals = convert(root)['lesions_all']
    assert (totals.without_lesion, totals.empty, totals.instances['lung']) == (1, 1, 3)
    assert '1 without lung' in conversion.format_totals({'lesions_all': totals})


def test_card(root):
    splits = conversion.random_split(
        conversion.list_lesion_slices(root), 0.3, 0, ('lesions_train', 'lesions_test')
    )
    convert(root, splits)
    card = conversion.read_card(root / 'out')
    assert card['options'] == dict(min_area=10, merge_lesions=False)
    for name, split in card['splits'].items():
        assert split['sha256'] == sha256(root / 'out' / f'{name}.json')
        assert split['slices'] == len(splits[name])
    assert list(card['splits']) == ['lesions_train', 'lesions_test']


def test_dry_run_counts_and_writes_nothing(root):
    assert convert(root, dry_run=True, workers=2)['lesions_all'].slices == 4
    assert not (root / 'out').exists()


def test_two_images_of_a_slice(root):
    (root / 'image/9/0.png').write_bytes((root / 'image/9/0.jpg').read_bytes())
    with pytest.raises(ValueError, match='of one slice'):
        conversion.list_lesion_slices(root)


def test_unusable_masks_are_all_named_and_nothing_is_written(root):
    write_slice(root, '2/1', blank(8, 8), image=blank())
    write_slice(root, '2/10', np.full((30, 40), 7, np.uint8))
    (root / 'mask/9/0.png').write_bytes(b'no image')
    with pytest.raises(ValueError, match='slices that cannot be used, 3: ') as error:
        convert(root)
    for part in ('2/1.png: is of shape (8, 8)', '2/10.png: has the values [7]', '9/0.png: '):
        assert part in str(error.value)
    assert not (root / 'out').exists()
