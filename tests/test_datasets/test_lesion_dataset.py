import copy
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from pycocotools import mask as rle

from mmcovid.data_tools.annotation_checks import check_lesions
from mmcovid.datasets import LesionDataset
from mmcovid.registry import DATASETS

CATEGORIES = [dict(id=1, name='lung'), dict(id=2, name='ggo'), dict(id=3, name='consolidation')]
COCO = dict(
    info={},
    categories=CATEGORIES,
    images=[
        dict(id=1, file_name='7/0.jpg', width=8, height=6, patient_id=70),
        dict(id=2, file_name='7/1.jpg', width=8, height=6),
        dict(id=3, file_name='12_3.jpg', width=8, height=6),
        dict(id=4, file_name='slice.jpg', width=8, height=6),
    ],
    annotations=[
        dict(
            id=1,
            image_id=1,
            category_id=3,
            bbox=[1, 1, 4, 3],
            area=12,
            iscrowd=0,
            segmentation=[[1, 1, 5, 1, 5, 4, 1, 4]],
        )
    ],
)


@pytest.fixture
def root(tmp_path):
    (tmp_path / 'image' / '7').mkdir(parents=True)
    for image in COCO['images']:
        Image.new('L', (8, 6)).save(tmp_path / 'image' / image['file_name'])
    (tmp_path / 'lesions.json').write_text(json.dumps(COCO))
    return tmp_path


def build(root, **kwargs):
    return LesionDataset(
        ann_file='lesions.json', data_root=str(root), data_prefix=dict(img='image/'), **kwargs
    )


def test_slices_without_lesion_are_kept_in_training(root):
    dataset = build(root)
    assert [len(info['instances']) for info in dataset] == [1, 0, 0, 0]
    assert dataset[0]['instances'][0]['bbox_label'] == 2


def test_task_and_patient(root):
    dataset = build(root, test_mode=True)
    assert {info['task'] for info in dataset} == {'seg'}
    assert [info['patient_id'] for info in dataset] == ['70', '7', '12', 'unknown']


def test_metainfo_needs_no_data():
    dataset = DATASETS.build(
        dict(type='mmcovid.LesionDataset', ann_file='absent.json', lazy_init=True)
    )
    assert dataset.metainfo['classes'] == ('lung', 'ggo', 'consolidation')
    assert len(dataset.metainfo['palette']) == 3


def test_merged_lesions(root):
    coco = copy.deepcopy(COCO)
    coco['categories'] = [dict(id=1, name='lung'), dict(id=2, name='lesion')]
    coco['annotations'][0]['category_id'] = 2
    (root / 'lesions.json').write_text(json.dumps(coco))
    dataset = build(root, metainfo=dict(classes=('lung', 'lesion')))
    assert dataset[0]['instances'][0]['bbox_label'] == 1


@pytest.mark.parametrize(
    'categories',
    [
        [dict(id=1, name='lung'), dict(id=2, name='lesion')],
        [dict(id=1, name='lung'), dict(id=3, name='consolidation'), dict(id=2, name='ggo')],
    ],
)
def test_other_categories_are_refused(root, categories):
    lesions = [dict(COCO['annotations'][0], category_id=2)]
    content = dict(COCO, categories=categories, annotations=lesions)
    (root / 'lesions.json').write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r'lesions\.json: its categories'):
        build(root)


def test_missing_annotations_and_images(root):
    (root / 'image' / '7' / '1.jpg').unlink()
    with pytest.raises(FileNotFoundError, match=r'missing images, 1: .*7/1\.jpg'):
        build(root)
    (root / 'lesions.json').unlink()
    with pytest.raises(FileNotFoundError, match='convert cncb-lesions'):
        build(root)


def test_skip_list(root):
    (root / 'image' / '7' / '1.jpg').unlink()
    (root / 'bad.txt').write_text('7/1.jpg\n12_3.jpg\n')
    dataset = build(root, skip_list='bad.txt')
    assert [info['img_id'] for info in dataset] == [1, 4]


def test_broken_json(root):
    (root / 'lesions.json').write_text('{"images": [')
    with pytest.raises(ValueError, match=r'lesions\.json: not JSON'):
        build(root)


def test_annotations_do_not_lead_out_of_the_folder(root):
    coco = copy.deepcopy(COCO)
    coco['images'][1]['file_name'] = '../lesions.json'
    (root / 'lesions.json').write_text(json.dumps(coco))
    with pytest.raises(ValueError, match='paths that leave .*image/, 1: .*lesions.json'):
        build(root)


CODE = dict(size=[6, 8], counts=[7, 3, 38])


@pytest.mark.parametrize(
    'changes, said',
    [
        (dict(bbox=[5, 1, 8, 3]), r'7/0.jpg: annotation 1 has the box \[5, 1, 8, 3\].*of 8x6'),
        (dict(bbox=[-3, 1, 4, 3]), 'not within the image of 8x6'),
        (dict(bbox=[1, 1, 0, 3]), 'not within the image of 8x6'),
        (dict(bbox=[1, 1, 4]), 'annotation 1 of 7/0.jpg has no bbox of four numbers'),
        (dict(area=float('nan')), 'or no area'),
        (dict(segmentation=None), '7/0.jpg: annotation 1 has no mask'),
        (dict(segmentation=[]), 'has no mask'),
        (dict(segmentation=[[1, 1, 5, 1]]), 'outlines of fewer than three points'),
        (dict(segmentation=[[1, 1, 12, 1, 5, 4]]), 'leaves the image of 8x6'),
        (dict(segmentation=dict(CODE, size=[8, 6])), r'a mask of \[8, 6\] \(height, width\)'),
        (dict(segmentation=dict(CODE, counts=[7, 3])), '`counts` cannot be decoded'),
        (dict(segmentation=dict(CODE, counts='~~~')), '`counts` cannot be decoded'),
        (dict(image_id=99), 'annotation 1 is of image 99 and category 3, which are not both'),
        (dict(category_id=7), 'which are not both there'),
    ],
)
def test_annotations_that_cannot_be_trained_on(root, changes, said):
    lesion = dict(COCO['annotations'][0], **changes)
    (root / 'lesions.json').write_text(json.dumps(dict(COCO, annotations=[lesion])))
    with pytest.raises(ValueError, match=rf'lesions\.json: annotations that cannot.*{said}'):
        build(root)


@pytest.mark.parametrize(
    'changes, said',
    [
        (dict(images=[], annotations=[]), 'names no slice'),
        (dict(annotations=[]), 'annotates no lesion in 4 slices'),
        (dict(images=None), 'TypeError'),
        (dict(images=[dict(COCO['images'][0], width='8')]), 'image 0 .id 1. has no file_name'),
        (dict(images=[dict(COCO['images'][0], width=0)]), '7/0.jpg: is empty'),
        (dict(images=[dict(COCO['images'][0], width=99999, height=99999)]), '99999 x 99999'),
        (dict(images=COCO['images'] * 2), 'several images have one id'),
    ],
)
def test_annotations_without_slices_or_lesions(root, changes, said):
    (root / 'lesions.json').write_text(json.dumps(dict(COCO, **changes)))
    with pytest.raises(ValueError, match=rf'lesions\.json: annotations that cannot.*{said}'):
        build(root)


@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_masks_of_pycocotools_pass_and_none_that_does_not_fill_its_image(mask):
    code = rle.encode(np.asfortranarray(mask.astype(np.uint8)))
    counts = code['counts'].decode()
    lesion = dict(COCO['annotations'][0], bbox=[0, 0, 1, 1])
    height, width = mask.shape
    image = dict(COCO['images'][0], width=width, height=height)
    for each, good in ((counts, True), (counts + '4', False), ('4', mask.size == 4)):
        lesion['segmentation'] = dict(size=[height, width], counts=each)
        problems = check_lesions(dict(COCO, images=[image], annotations=[lesion]))
        assert any(problem.problem == 'no mask' for problem in problems) != good


def test_boxes_may_be_off_by_a_pixel(root):
    lesions = [
        dict(COCO['annotations'][0], id=1, bbox=[-1, 0, 10, 7]),
        dict(COCO['annotations'][0], id=2, segmentation=CODE),
    ]
    (root / 'lesions.json').write_text(json.dumps(dict(COCO, annotations=lesions)))
    assert len(build(root)[0]['instances']) == 2


def test_bad_annotations_can_be_skipped(root):
    lesion = dict(COCO['annotations'][0], bbox=[5, 1, 8, 3])
    (root / 'lesions.json').write_text(json.dumps(dict(COCO, annotations=[lesion])))
    (root / 'bad.txt').write_text('7/0.jpg\n')
    assert len(build(root, skip_list='bad.txt')) == 3


def test_images_of_another_size_than_their_masks(root):
    Image.new('L', (9, 6)).save(root / 'image' / '7' / '1.jpg')
    (root / 'image' / 'slice.jpg').write_bytes(b'no image')
    with pytest.raises(ValueError, match=r'2: .*1.jpg is 9x6, not 8x6, .*slice.jpg: empty, trunc'):
        build(root)


def test_classes_and_patients_that_are_missing_are_warned_of(root, monkeypatch):
    said = []
    monkeypatch.setattr(
        'mmcovid.datasets.files.print_log', lambda message, **kwargs: said.append(message)
    )
    content = dict(COCO, images=COCO['images'][:1])
    (root / 'lesions.json').write_text(json.dumps(content))
    build(root)
    assert [message.split(': ')[1] for message in said] == [
        'has nothing of the class lung. Correct the list, unless that is meant.',
        'has nothing of the class ggo. Correct the list, unless that is meant.',
        'has slices of patient 70 only. Correct the list, unless that is meant.',
    ]
