import csv

import numpy as np
import pytest
import SimpleITK as sitk
from known_predictor import KnownPredictor
from PIL import Image

from mmcovid.classes import LESION_CLASSES, Classes
from mmcovid.results import ScanSlice
from mmcovid.scans import find_scans
from mmcovid.scans.predict import Prediction, Slice, predict_scan
from mmcovid.scans.write import write_masks, write_slice_table

CLASSES = Classes.of()
DIRECTIONS = {
    'straight': np.eye(3),
    'NIfTI': np.diag([-1.0, -1, 1]),
    'head first': np.diag([1.0, 1, -1]),
    'sagittal': np.array([[0, 0, 1], [1, 0, 0], [0, -1, 0]], float),
    'oblique': np.array([[0.98, 0.199, 0], [-0.199, 0.98, 0], [0, 0, -1]]),
}


@pytest.mark.parametrize('suffix', ['.nrrd', '.nii.gz', '.mha'])
@pytest.mark.parametrize('direction', DIRECTIONS)
def test_masks_come_back_voxel_by_voxel(tmp_path, direction, suffix):
    """Known labels on the grid of a turned file, through the same code as a model's masks."""
    axes = DIRECTIONS[direction]
    axes = np.linalg.qr(axes)[0] * np.sign(np.diag(np.linalg.qr(axes)[1]))
    stored = np.random.default_rng(0).integers(0, 4, (7, 9, 11)).astype(np.uint8)
    for name, array in (('scan', stored.astype(np.int16) * 100 - 900), ('known', stored)):
        image = sitk.GetImageFromArray(array)
        image.SetSpacing((0.7, 0.9, 2.5))
        image.SetOrigin((-100, 20, 33.5))
        image.SetDirection(axes.ravel().tolist())
        sitk.WriteImage(image, str(tmp_path / f'{name}{suffix}'))
    (scan,) = find_scans([tmp_path / f'scan{suffix}'])[0].values()
    found = predict_scan(KnownPredictor(tmp_path / f'known{suffix}'), scan)
    files = write_masks(tmp_path, found, CLASSES)

    assert list(files) == ['labels.nii.gz', *(f'{name}.nii.gz' for name in LESION_CLASSES)]
    source = sitk.ReadImage(str(tmp_path / f'scan{suffix}'))
    expected = [stored, stored > 0, stored == 2, stored == 3]
    for name, mask in zip(files, expected):
        image = sitk.ReadImage(str(tmp_path / name))
        assert image.GetSize() == source.GetSize()
        for part in ('Spacing', 'Origin', 'Direction'):
            assert getattr(image, f'Get{part}')() == pytest.approx(
                getattr(source, f'Get{part}')(), abs=1e-5
            )
        assert np.array_equal(sitk.GetArrayFromImage(image), mask)


def test_label_maps_of_pictures(tmp_path):
    rng = np.random.default_rng(1)
    labels = [rng.integers(0, 4, size).astype(np.uint8) for size in ((5, 6), (8, 3))]
    slices = [Slice(i, f'x/{name}', labels[i]) for i, name in enumerate(('a.png', 'a.jpg'))]
    files = write_masks(tmp_path, Prediction(slices, 2), CLASSES)
    assert files == {'labels/': '0 background, 1 lung, 2 ggo, 3 consolidation'}
    written = sorted((tmp_path / 'labels').iterdir())
    for path, expected in zip(written, labels[::-1]):
        with Image.open(path) as image:
            assert np.array_equal(np.asarray(image), expected)
            assert np.asarray(image.convert('RGB'))[expected == 2].tolist() == (
                [list(CLASSES.palette[1])] * (expected == 2).sum()
            )
    assert len(written) == 2


def test_slice_table(tmp_path):
    write_slice_table(
        tmp_path / 'slices.csv',
        [
            ScanSlice(
                0,
                'a,b.png',
                z_mm=None,
                in_region=True,
                class_='cp',
                leading_class='cp',
                score=0.5,
                scores=dict(normal=0.2, cp=0.5, covid19=0.3),
                lesions=[None, None],
                pixels=dict(lung=9, ggo=1, consolidation=0),
                area_mm2=dict.fromkeys(LESION_CLASSES),
            )
        ],
    )
    (row,) = read_csv(tmp_path / 'slices.csv')
    assert row['path'] == 'a,b.png' and row['lesions'] == '2' and row['score_cp'] == '0.5'
    assert row['ggo_pixels'] == '1' and row['ggo_mm2'] == row['z_mm'] == ''


def read_csv(path):
    with open(path, newline='') as file:
        return list(csv.DictReader(file))
