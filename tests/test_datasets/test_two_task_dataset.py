import copy
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmdet.registry import DATASETS
from mmengine.config import ConfigDict

from mmcovid.data_tools import conversion
from mmcovid.datasets import two_task_dataset
from mmcovid.datasets.samplers import SeededIndex

PIPELINE = [
    dict(type='LoadImageFromFile', color_type='unchanged'),
    dict(type='mmcovid.ToThreeChannels'),
    dict(type='Resize', scale=(24, 24), keep_ratio=False),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='mmcovid.PackSliceInputs'),
]
LESIONS = dict(
    type='mmcovid.LesionDataset',
    ann_file='lesions_all.json',
    data_prefix=dict(img='image/'),
    test_mode=True,
)
SLICES = dict(
    type='mmcovid.SliceDataset', ann_file='', data_prefix=dict(img='slices/'), test_mode=True
)


@pytest.fixture
def root(tmp_path):
    image = np.arange(400, dtype=np.uint16).reshape(20, 20) * 100
    mask = np.zeros((20, 20), np.uint8)
    for folder in ('image/1', 'mask/1', 'slices'):
        (tmp_path / folder).mkdir(parents=True)
    for number in range(2):  # the second slice has no lesion
        cv2.imwrite(str(tmp_path / f'image/1/{number}.png'), image)
        mask[5:15, 5:15] = 2 if number == 0 else 0
        cv2.imwrite(str(tmp_path / f'mask/1/{number}.png'), mask)
    for label in range(3):
        cv2.imwrite(str(tmp_path / f'slices/{label}_4_5_6.png'), image)
    conversion.write_lesion_annotations(
        tmp_path,
        {'lesions_all': conversion.list_lesion_slices(tmp_path)},
        min_area=10,
        show_progress=False,
    )
    return str(tmp_path)


def build(root='', pipeline=PIPELINE, seg=None, cls=None, **kwargs):
    children = {
        task: dict(child, data_root=root) for task, child in dict(seg=seg, cls=cls).items() if child
    }
    return DATASETS.build(
        ConfigDict(type='mmcovid.TwoTaskDataset', pipeline=pipeline, **children, **kwargs)
    )


def test_both_tasks_in_one_pipeline(root):
    dataset = build(root, seg=LESIONS, cls=SLICES)
    assert len(dataset) == 5
    samples = [dataset[index]['data_samples'] for index in range(5)]
    assert [sample.task for sample in samples] == ['seg'] * 2 + ['cls'] * 3
    assert [len(sample.gt_instances) for sample in samples] == [1, 0, 0, 0, 0]
    assert [sample.gt_label.item() for sample in samples[2:]] == [0, 1, 2]
    assert 'gt_label' not in samples[0]
    assert dataset[4]['inputs'].shape == (3, 24, 24)
    assert dataset[4]['inputs'].max() > 39000  # 16 bits stay


@pytest.mark.parametrize(
    'children', [dict(seg=LESIONS, cls=SLICES), dict(seg=LESIONS), dict(cls=SLICES)]
)
def test_metainfo_without_any_data(children):
    dataset = build('nowhere', lazy_init=True, **children)
    assert dataset.metainfo['classes'] == ('lung', 'ggo', 'consolidation')
    assert len(dataset.metainfo['palette']) == 3
    assert dataset.metainfo['image_classes'] == ('normal', 'cp', 'covid19')


@pytest.mark.parametrize(
    ('child', 'task', 'size'), [(dict(seg=LESIONS), 'seg', 2), (dict(cls=SLICES), 'cls', 3)]
)
def test_one_task_alone(root, child, task, size):
    dataset = build(root, **child)
    assert [dataset[index]['data_samples'].task for index in range(len(dataset))] == [task] * size
    assert dataset[0]['inputs'].shape == (3, 24, 24)


def test_metainfo_of_children_and_override(root):
    merged = dict(LESIONS, metainfo=dict(classes=('lung', 'lesion')))
    dataset = build(root, seg=merged, cls=SLICES, lazy_init=True, metainfo=dict(note='two classes'))
    assert dataset.metainfo['classes'] == ('lung', 'lesion')
    assert dataset.metainfo['note'] == 'two classes'


def test_several_lesion_sets(root):
    sets = [dict(LESIONS, data_root=root), dict(LESIONS, data_root=root, indices=1)]
    config = ConfigDict(type='mmcovid.TwoTaskDataset', pipeline=PIPELINE, seg=sets)
    dataset = DATASETS.build(ConfigDict(config, cls=dict(SLICES, data_root=root)))
    assert dataset.cumulative_sizes == [2, 3, 6]
    assert [dataset[i]['data_samples'].task for i in range(6)] == ['seg'] * 3 + ['cls'] * 3
    sets[1].update(metainfo=dict(classes=('lung', 'lesion')), lazy_init=True)
    with pytest.raises(ValueError, match="different classes, .*'consolidation'.*'lesion'"):
        DATASETS.build(ConfigDict(config, seg=sets, lazy_init=True))


def test_own_pipeline_wins_and_configs_stay(root):
    config = dict(
        type='mmcovid.TwoTaskDataset',
        seg=dict(LESIONS, data_root=root),
        cls=dict(SLICES, data_root=root, pipeline=[]),
        pipeline=PIPELINE,
    )
    before = copy.deepcopy(config)
    dataset = DATASETS.build(config)
    assert config == before
    assert 'inputs' in dataset[0]
    assert dataset[2]['img_id'] == '0_4_5_6.png'  # went through no pipeline
    assert dataset.datasets[0].metainfo['classes'] == ('lung', 'ggo', 'consolidation')


def test_built_datasets_are_taken_as_they_are(root):
    lesions = DATASETS.build(dict(LESIONS, data_root=root))
    dataset = DATASETS.build(dict(type='mmcovid.TwoTaskDataset', seg=lesions))
    assert dataset.datasets == [lesions]


def test_no_datasets():
    with pytest.raises(ValueError, match='needs `seg`'):
        DATASETS.build(dict(type='mmcovid.TwoTaskDataset'))


def test_what_a_pipeline_draws_depends_on_the_seeded_index_only(root):
    """Not on the process, nor on what was drawn before."""
    flip = [*PIPELINE[:-1], dict(type='RandomFlip', prob=0.5), PIPELINE[-1]]
    dataset = build(root, pipeline=flip, seg=LESIONS, cls=SLICES)

    def flips(numbers):
        for number in numbers:
            index = SeededIndex(3)
            index.key = (0, 0, number)
            yield dataset[index]['data_samples'].flip

    forward = list(flips(range(20)))
    assert 0 < sum(forward) < 20
    assert list(flips(range(19, -1, -1))) == forward[::-1]


def test_unreadable_slices_are_replaced_if_asked_for(root, monkeypatch):
    said = []
    monkeypatch.setattr(two_task_dataset, 'print_log', lambda text, **_: said.append(text))
    pipeline = [dict(PIPELINE[0], type='mmcovid.LoadImageFromFile'), *PIPELINE[1:]]
    with open(f'{root}/slices/2_4_5_6.png', 'wb') as file:
        file.write(b'torn')
    with pytest.raises(ValueError, match='2_4_5_6.png: empty, truncated or not an image'):
        build(root, pipeline, seg=LESIONS, cls=SLICES)[4]
    dataset = build(root, pipeline, seg=LESIONS, cls=SLICES, skip_unreadable=True)
    for _ in range(2):
        assert dataset[4]['data_samples'].img_id == '0_4_5_6.png'  # the next of its set
    (text,) = said
    assert '2_4_5_6.png: empty, truncated or not an image' in text
    assert 'The training goes on without it: 1 unreadable slices in this process.' in text
    for name in '01':
        (Path(root) / f'slices/{name}_4_5_6.png').write_bytes(b'')
    with pytest.raises(ValueError, match='set 1 .* none of its slices can be read'):
        dataset[3]
