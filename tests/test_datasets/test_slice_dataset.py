import json
import logging

import pytest

from mmcovid.datasets import SliceDataset
from mmcovid.registry import DATASETS


def make_files(folder, *names):
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b'not read by the dataset')


@pytest.fixture
def root(tmp_path):
    make_files(tmp_path / 'images', 'Normal_1_11_0000.png', 'CP_2_12_0001.png', 'NCP_3_13_0002.png')
    (tmp_path / 'train.txt').write_text(
        'Normal_1_11_0000.png 0 1 2 300 400\n\nCP_2_12_0001.png 1 1 2 300 400\n'
    )
    (tmp_path / 'val.txt').write_text('NCP_3_13_0002.png 2\n')
    return tmp_path


def build(root, ann_file='', **kwargs):
    return SliceDataset(ann_file, data_root=str(root), data_prefix=dict(img='images'), **kwargs)


def test_list_file(root):
    dataset = DATASETS.build(
        dict(
            type='mmcovid.SliceDataset',
            data_root=str(root),
            ann_file='train.txt',
            data_prefix=dict(img='images/'),
        )
    )
    assert dataset.metainfo['classes'] == ('normal', 'cp', 'covid19')
    assert len(dataset) == 2
    assert dataset[1] == dict(
        img_path=str(root / 'images' / 'CP_2_12_0001.png'),
        img_id='CP_2_12_0001.png',
        task='cls',
        gt_label=1,
        patient_id='2',
        scan_id='12',
        sample_idx=1,
    )
    assert dataset.get_cat_ids(1) == [1]


def test_several_lists_relative_and_absolute(root):
    dataset = build(root, ['train.txt', str(root / 'val.txt')])
    assert [info['gt_label'] for info in dataset] == [0, 1, 2]


def test_folder_without_list(root):
    make_files(root / 'images', '2_pCT2179.jpg', 'notes.txt')
    found = {info['img_id']: (info['gt_label'], info['patient_id']) for info in build(root)}
    assert found == {
        'Normal_1_11_0000.png': (0, '1'),
        'CP_2_12_0001.png': (1, '2'),
        'NCP_3_13_0002.png': (2, '3'),
        '2_pCT2179.jpg': (2, 'unknown'),
    }


def test_class_of_the_list_goes_before_the_name(root):
    (root / 'relabelled.txt').write_text('NCP_3_13_0002.png 1\n')
    assert build(root, 'relabelled.txt')[0]['gt_label'] == 1


def test_indices_and_lazy_init(root):
    assert len(build(root, 'train.txt', indices=1)) == 1
    lazy = build(root, 'absent.txt', lazy_init=True)  # no data needed for the metainfo
    assert lazy.metainfo['image_classes'] == ('normal', 'cp', 'covid19')


def test_per_class_is_a_fixed_draw_from_all_patients(root):
    """A subset of a list that is sorted by class and patient, as COVIDx-CT's are, is spread out."""
    names = [
        f'{kind}_{10 * label + patient}_1_{number:04d}.png'
        for label, kind in enumerate(('Normal', 'CP', 'NCP'))
        for patient in range(3)
        for number in range(4)
    ]
    make_files(root / 'images', *names)
    (root / 'val.txt').write_text(
        ''.join(f'{name} {("Normal", "CP", "NCP").index(name.split("_")[0])}\n' for name in names)
    )
    drawn = list(build(root, 'val.txt', per_class=3))
    assert [info['gt_label'] for info in drawn] == [0] * 3 + [1] * 3 + [2] * 3
    assert len({info['patient_id'] for info in drawn}) == 9
    assert drawn == list(build(root, 'val.txt', per_class=3))
    with pytest.raises(ValueError, match=r'13 slices of class 0 .*there are 12.*`per_class`'):
        build(root, 'val.txt', per_class=13)


def test_per_class_needs_no_image_that_it_does_not_take(root):
    (root / 'train.txt').write_text('CP_2_12_0001.png 1\nCP_2_12_0009.png 1\nCP_2_12_0008.png 1\n')
    make_files(root / 'images', 'CP_2_12_0008.png', 'CP_2_12_0009.png')
    (taken,) = build(root, 'train.txt', per_class=1)
    for path in (root / 'images').iterdir():
        if str(path) != taken['img_path']:
            path.unlink()
    assert [info['img_id'] for info in build(root, 'train.txt', per_class=1)] == [taken['img_id']]
    (root / 'bad.txt').write_text(taken['img_id'])
    with pytest.raises(FileNotFoundError, match='not one slice'):  # what is skipped stays drawn
        build(root, 'train.txt', per_class=1, skip_list='bad.txt')


def test_missing_images_are_counted_and_named(root):
    names = [f'CP_9_9_{number:04d}.png' for number in range(14)]
    (root / 'train.txt').write_text(''.join(f'{name} 1\n' for name in names))
    with pytest.raises(FileNotFoundError) as error:
        build(root, 'train.txt')
    message = str(error.value)
    assert '14: ' in message and 'and 4 more' in message and 'data_prefix' in message
    assert names[9] in message and names[10] not in message


def test_skip_missing_warns_with_the_count(root, monkeypatch):
    said = []
    monkeypatch.setattr(
        'mmcovid.datasets.slice_dataset.print_log',
        lambda message, **kwargs: said.append((message, kwargs['level'])),
    )
    (root / 'train.txt').write_text('Normal_1_11_0000.png 0\nCP_9_9_0000.png 1\n')
    dataset = build(root, 'train.txt', skip_missing=True)
    assert [info['img_id'] for info in dataset] == ['Normal_1_11_0000.png']
    ((message, level),) = said
    assert '1: ' in message and 'CP_9_9_0000.png' in message and level == logging.WARNING
    (root / 'train.txt').write_text('CP_9_9_0000.png 1\n')
    with pytest.raises(FileNotFoundError, match='not one slice'):
        build(root, 'train.txt', skip_missing=True)


@pytest.mark.parametrize(
    'line',
    [
        'NCP_3_13_0002.png',
        'NCP_3_13_0002.png x',
        'NCP_3_13_0002.png 3',
        'NCP_3_13_0002.png -1',
        'NCP_3_13_0002.png 2 1 2 3',
        'NCP_3_13_0002.png 2 1 2 3 4 5',
        'NCP_3_13_0002.png 2 a b c d',
    ],
)
def test_malformed_line_names_file_line_and_content(root, line):
    (root / 'bad.txt').write_text(f'Normal_1_11_0000.png 0\n{line}\n')
    with pytest.raises(ValueError, match=r'bad\.txt, line 2') as error:
        build(root, 'bad.txt')
    assert repr(line) in str(error.value)


def test_slice_listed_twice(root):
    with pytest.raises(ValueError, match=r'train\.txt, line 1'):
        build(root, ['train.txt', 'train.txt'])


def test_names_without_class(root):
    make_files(root / 'images', 'slice7.png')
    with pytest.raises(ValueError, match=r'1: slice7\.png'):
        build(root)


def test_missing_list_and_folder(root):
    with pytest.raises(FileNotFoundError, match=r'absent\.txt: no such list'):
        build(root, 'absent.txt')
    with pytest.raises(FileNotFoundError, match='no such folder'):
        SliceDataset(data_root=str(root), data_prefix=dict(img='nowhere'))
    (root / 'empty').mkdir()
    with pytest.raises(FileNotFoundError, match='not one slice'):
        SliceDataset(data_root=str(root), data_prefix=dict(img='empty'))


def write_json(root, **changes):
    entry = dict(
        img_path='NCP_3_13_0002.png', gt_label=2, patient_id='p3', scan_id='s13', width=4, height=4
    )
    content = dict(metainfo=dict(classes=['normal', 'cp', 'covid19']), data_list=[entry])
    (root / 'val.json').write_text(json.dumps(dict(content, **changes)))


def test_json_of_the_converters(root):
    write_json(root)
    (info,) = build(root, 'val.json')
    assert (info['img_id'], info['gt_label'], info['patient_id'], info['scan_id']) == (
        'NCP_3_13_0002.png',
        2,
        'p3',
        's13',
    )
    assert len(build(root, ['train.txt', 'val.json'])) == 3


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(metainfo=dict(classes=['normal', 'covid19'])), r'val\.json: its classes'),
        (dict(data_list=[dict(img_path='a.png')]), r"val\.json: not written by .*'gt_label'"),
        (
            dict(data_list=[dict(img_path='a.png', gt_label=3, patient_id='', scan_id='')]),
            'entry 1',
        ),
        (dict(metainfo=None), 'not written by'),
    ],
)
def test_bad_json(root, changes, message):
    write_json(root, **changes)
    with pytest.raises(ValueError, match=message):
        build(root, 'val.json')


def test_files_that_are_no_lists(root):
    (root / 'val.json').write_text('{"metainfo": ')
    (root / 'val.txt').write_bytes(b'\xff\xfe\x00')
    for name in ('val.json', 'val.txt'):
        with pytest.raises(ValueError, match=f'{name}: not a list'):
            build(root, name)


def test_skip_list(root, monkeypatch):
    said = []
    monkeypatch.setattr(
        'mmcovid.datasets.files.print_log', lambda message, **kwargs: said.append(message)
    )
    (root / 'bad.txt').write_text('# a comment\nCP_2_12_0001.png\nnot_in_the_set.png\n\n')
    (root / 'images' / 'CP_2_12_0001.png').unlink()  # what is skipped need not be there
    dataset = build(root, 'train.txt', skip_list='bad.txt')
    assert [info['img_id'] for info in dataset] == ['Normal_1_11_0000.png']
    assert said[-1] == f'{root}/bad.txt: 1 of 2 slices are left out.'
    with pytest.raises(FileNotFoundError, match=r'nowhere\.txt: no such list of slices to skip'):
        build(root, 'train.txt', skip_list='nowhere.txt')


@pytest.mark.parametrize('name', ['../outside_1.png', '/outside_1.png', 'a/../../images2/1.png'])
def test_lists_do_not_lead_out_of_the_folder(root, name):
    (root / 'train.txt').write_text(f'NCP_3_13_0002.png 2\n{name} 1\n')
    with pytest.raises(ValueError, match=r'paths that leave .*images, 1: .*1\.png'):
        build(root, 'train.txt')


def test_whole_paths_are_read_where_no_folder_is_given(root):
    (root / 'train.txt').write_text(f'{root}/images/NCP_3_13_0002.png 2\n')
    assert len(SliceDataset(str(root / 'train.txt'))) == 1


def test_classes_that_never_occur_are_warned_of(root, monkeypatch):
    said = []
    monkeypatch.setattr(
        'mmcovid.datasets.files.print_log', lambda message, **kwargs: said.append(message)
    )
    (root / 'train.txt').write_text('Normal_1_11_0000.png 0\nCP_2_12_0001.png 1\n')
    build(root, 'train.txt')
    (message,) = said
    assert message.startswith(f'{root}/train.txt: has nothing of the class covid19. ')
