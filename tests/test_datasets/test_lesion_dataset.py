import copy
import json

import pytest
from PIL import Image

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
