import csv
import json

import numpy as np
import pytest
import SimpleITK as sitk
from ct_utils import chest, write_series
from known_predictor import KnownPredictor
from PIL import Image
from pycocotools import mask as rle

from mmcovid.ct import apply_window, read_volume
from mmcovid.data_tools import conversion, verification
from mmcovid.data_tools.conversion import Correction
from mmcovid.scans import Scan
from mmcovid.scans.predict import predict_scan
from mmcovid.scans.write import write_masks
from mmcovid.utils.files import sha256

DEPTH, SIZE = 6, 32


def write(path, array, **fields):
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((1, 1, 3))
    image.SetDirection(np.diag([-1.0, -1, 1]).ravel().tolist())
    for key, value in fields.items():
        image.SetMetaData(key, value)
    sitk.WriteImage(image, str(path))
    return str(path)


@pytest.fixture
def labels():
    """As the model gave them, in the order of the file; slices 0 and 5 show nothing."""
    labels = np.zeros((DEPTH, SIZE, SIZE), np.uint8)
    labels[1:5, 4:28, 4:28] = 1
    labels[2, 8:12, 8:12] = 2
    labels[2, 9:11, 9:11] = 3
    labels[3, 20:24, 8:20] = 3
    return labels


@pytest.fixture
def scan(tmp_path):
    return write(tmp_path / 'scan.nii.gz', chest(DEPTH, SIZE))


def convert(out, *corrections, **options):
    options = dict(min_area=0, show_progress=False) | options
    return conversion.write_corrections(corrections, out, **options)


def masks_of(out):
    """Masks by the name of their slice, from the files and from the JSON."""
    coco = json.loads((out / 'annotations' / 'lesions_corrected.json').read_text())
    files, drawn = {}, {}
    for image in coco['images']:
        name = image['file_name']
        files[name] = np.asarray(Image.open(out / 'mask' / name))
        drawn[name] = np.zeros((image['height'], image['width']), np.uint8)
        for each in coco['annotations']:
            if each['image_id'] == image['id']:
                drawn[name][rle.decode(each['segmentation']) > 0] = each['category_id']
    return files, drawn


@pytest.mark.parametrize('kind', ['volume', 'series'])
def test_the_label_map_of_a_model_comes_back(tmp_path, labels, scan, kind):
    """Predicted, written, converted: all voxels are the same, and so are the pictures."""
    known = write(tmp_path / 'known.nii.gz', labels)
    if kind == 'series':
        scan = str(write_series(tmp_path / 'series', chest(DEPTH, SIZE)))
    predictor = KnownPredictor(known)
    prediction = predict_scan(predictor, Scan(scan))
    write_masks(tmp_path, prediction, predictor.classes)
    scans, totals = convert(
        tmp_path / 'out', Correction(scan, str(tmp_path / 'labels.nii.gz'), 'p')
    )
    assert scans[0].unlabelled == 2 and totals.slices == 4 and totals.patients == 1
    stem = 'scan' if kind == 'volume' else 'series'
    expected = {f'p/{stem}_{i:03d}.png': prediction.label_map()[i] for i in range(1, 5)}
    for found in masks_of(tmp_path / 'out'):
        assert found.keys() == expected.keys()
        assert all(np.array_equal(found[name], mask) for name, mask in expected.items())
    hu = read_volume(scan).array
    for i, name in enumerate(expected, 1):
        picture = np.asarray(Image.open(tmp_path / 'out' / 'image' / name))
        assert np.array_equal(picture, apply_window(hu[i]))


def test_what_verify_says_and_what_is_told(tmp_path, labels, scan):
    file = write(tmp_path / 'corrected.nrrd', labels)
    scans, _ = convert(tmp_path / 'out', Correction(scan, file, 'p'), window=(-500, 1000))
    out = tmp_path / 'out'
    found = verification.verify(
        [verification.read_set(out / 'annotations' / 'lesions_corrected.json')],
        show_progress=False,
    )
    assert [each.problem for each in found] == ['one patient']
    card = json.loads((out / 'annotations' / 'dataset_card.json').read_text())
    assert card['options']['window'] == [-500, 1000]
    assert card['options']['scans'][0]['labels_sha256'] == sha256(file)
    assert str(scans[0]) == 'scan.nii.gz: 6 slices; left out: 2 without a label'
    # the layout is that of CNCB-NCOV: what splits one splits the other
    assert [each.key for each in conversion.list_lesion_slices(out)] == [
        f'p/scan_{i:03d}' for i in range(1, 5)
    ]


def test_slices_that_the_reader_left_as_they_were(tmp_path, labels, scan):
    original = write(tmp_path / 'original.nrrd', labels)
    corrected = labels.copy()
    corrected[3, 20, 8] = 1
    corrected[1] = 0  # there is no lung
    file = write(tmp_path / 'corrected.nrrd', corrected)
    correction = Correction(scan, file, 'p', original)
    (told,), totals = convert(tmp_path / 'all', correction)
    assert (told.slices, told.unchanged, told.unlabelled) == (6, 4, 2)
    assert (totals.slices, totals.empty) == (4, 1)
    (told,), totals = convert(tmp_path / 'changed', correction, changed_only=True)
    assert told.unchanged_left_out == 2 and totals.slices == 2
    assert str(told) == (
        'scan.nii.gz: 6 slices, 2 of them changed by the reader; left out: 2 without a label, '
        '2 unchanged'
    )
    with pytest.raises(ValueError, match='without the original of each scan'):
        convert(tmp_path / 'none', correction._replace(original=None), changed_only=True)
    with pytest.raises(ValueError, match='no slice is left of 1: .*and is changed'):
        convert(tmp_path / 'none', Correction(scan, file, 'p', file), changed_only=True)
    assert not (tmp_path / 'none').exists()


def segments(path, labels, *names):
    fields = {}
    for value, name in enumerate(names, 1):
        fields |= {f'Segment{value}_Name': name, f'Segment{value}_LabelValue': str(value)}
    return write(path, labels, **fields)


def test_names_of_segments(tmp_path, labels, scan):
    file = segments(tmp_path / 'a.seg.nrrd', labels, 'Lung', 'Ground glass', 'vessel')
    correction = Correction(scan, file, 'p')
    with pytest.raises(
        ValueError, match=r'a\.seg\.nrrd: segments that are no class, 2: Ground glass, vessel\. Kn'
    ):
        convert(tmp_path / 'out', correction)
    names = {'ground Glass': 'consolidation', 'vessel': 'none'}
    (told,), _ = convert(tmp_path / 'out', correction, names=names)
    assert told.no_class == {'vessel': (labels == 3).sum()}
    mask = masks_of(tmp_path / 'out')[0]['p/scan_002.png']
    assert np.array_equal(mask, np.array([0, 1, 3, 0])[labels[2, ::-1, ::-1]])
    with pytest.raises(ValueError, match='no classes of lesions, 1: effusion. Give one of lung, '):
        convert(tmp_path / 'other', correction, names={'vessel': 'effusion'})


def test_merged_lesions(tmp_path, labels, scan):
    file = segments(tmp_path / 'a.seg.nrrd', labels, 'lung', 'lesion', 'consolidation')
    with pytest.raises(ValueError, match='no class, 1: lesion'):
        convert(tmp_path / 'out', Correction(scan, file, 'p'))
    convert(tmp_path / 'out', Correction(scan, file, 'p'), merge_lesions=True)
    coco = json.loads((tmp_path / 'out/annotations/lesions_corrected.json').read_text())
    assert [each['name'] for each in coco['categories']] == ['lung', 'lesion']


def write_list(path, *rows):
    with open(path, 'w', newline='', encoding='utf-8') as file:
        csv.writer(file).writerows(rows)
    return path


def test_a_list_of_scans(tmp_path, labels, scan):
    (tmp_path / 'b').mkdir()
    write(tmp_path / 'b' / 'scan.nii.gz', chest(DEPTH, SIZE))
    write(tmp_path / 'corrected.nrrd', labels)
    file = write_list(
        tmp_path / 'list.csv',
        ('scan', 'labels', 'patient'),
        ('scan.nii.gz', 'corrected.nrrd', '7'),
        ('b/scan.nii.gz', 'corrected.nrrd', ''),
    )
    corrections = conversion.read_corrections(file)
    assert corrections == [
        Correction(str(tmp_path / 'scan.nii.gz'), str(tmp_path / 'corrected.nrrd'), '7'),
        Correction(str(tmp_path / 'b/scan.nii.gz'), str(tmp_path / 'corrected.nrrd'), 'scan'),
    ]
    _, totals = convert(tmp_path / 'out', *corrections)
    assert (totals.slices, totals.patients) == (8, 2)
    shared = [each._replace(patient='7') for each in corrections]
    with pytest.raises(ValueError, match='would have the same files. Rename one'):
        convert(tmp_path / 'other', *shared)
    patients = [each._replace(patient=name) for each, name in zip(corrections, ('a/b', 'a_b'))]
    with pytest.raises(ValueError, match="patients 'a/b' and 'a_b' would share the folder a_b"):
        convert(tmp_path / 'other', *patients)


@pytest.mark.parametrize(
    'rows, match',
    [
        ([('scan', 'mask'), ('a', 'b')], r"has 1 lines of the columns \['mask', 'scan'\]"),
        ([('scan', 'labels')], 'has 0 lines'),
        ([('scan', 'labels'), ('a', 'b'), ('a', '')], 'lines without scan or labels.*, 1: 3'),
        ([('scan', 'labels'), ('a', 'b', 'c')], 'lines .* with more than the columns, 1: 2'),
        ([('scan', 'labels'), ('a',)], 'lines without scan or labels.*, 1: 2'),
    ],
)
def test_lists_that_are_none(tmp_path, rows, match):
    with pytest.raises(ValueError, match=f'list.csv: {match}'):
        conversion.read_corrections(write_list(tmp_path / 'list.csv', *rows))
    (tmp_path / 'list.csv').write_bytes(b'\xff\xfe\x00')
    with pytest.raises(ValueError, match='is no CSV file in UTF-8'):
        conversion.read_corrections(tmp_path / 'list.csv')
    with pytest.raises(FileNotFoundError, match='no such list'):
        conversion.read_corrections(tmp_path / 'absent.csv')
