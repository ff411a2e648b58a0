import json

import numpy as np
import pytest
import SimpleITK as sitk
from ct_utils import chest, write_series
from lesions_utils import lungs, write_labels

from mmcovid.analysis.lesions import Settings, compare, find_truth, load_models
from mmcovid.classes import Classes
from mmcovid.ct import read_volume, write_mask
from mmcovid.data_tools.conversion.nnunet import write_nnunet_dataset
from mmcovid.data_tools.phantom.dataset import SplitSize, write_phantom_set

CLASSES = Classes.of()
ONE = dict(train=SplitSize(1, 1), val=SplitSize(1, 1), test=SplitSize(1, 1))


def write(out, scans, labels, **kwargs):
    return write_nnunet_dataset(
        out, scans, labels, CLASSES, **{**dict(folds=3, show_progress=False), **kwargs}
    )


def same_image(one, other):
    one, other = (sitk.ReadImage(str(path)) for path in (one, other))
    assert np.array_equal(*map(sitk.GetArrayFromImage, (one, other)))
    for get in ('GetSpacing', 'GetOrigin', 'GetDirection'):
        assert np.allclose(getattr(one, get)(), getattr(other, get)(), atol=1e-6)


@pytest.fixture(scope='module')
def phantom(tmp_path_factory):
    out = tmp_path_factory.mktemp('phantom') / 'set'
    write_phantom_set(out, ONE, ONE, SplitSize(1, 6), size=64, show_progress=False)
    return out / 'scans'


def test_round_trip_of_the_phantom_is_exact(phantom, tmp_path):
    out = tmp_path / 'Dataset501_phantom'
    assert write(out, phantom, phantom / 'masks') == dict(training=3, test=0, folds=3)
    for mask in (phantom / 'masks').iterdir():
        name = mask.name.removesuffix('.nii.gz')
        same_image(out / f'labelsTr/{mask.name}', mask)
        same_image(out / f'imagesTr/{name}_0000.nii.gz', phantom / mask.name)
    told = json.loads((out / 'dataset.json').read_text())
    assert told['labels'] == dict(background=0, lung=1, ggo=2, consolidation=3)
    assert (told['channel_names'], told['numTraining'], told['file_ending']) == (
        {'0': 'CT'}, 3, '.nii.gz',
    )  # fmt: skip
    # what nnU-Net would predict if it were perfect
    truth = find_truth(phantom / 'masks')
    models, _ = load_models([str(out / 'labelsTr')], truth, CLASSES)
    report = compare(models, truth, CLASSES, Settings(rounds=5))
    assert report.models['labelsTr'].figures['lesions']['dice_pooled'].value == 1


def test_series_keep_their_grid_and_scans_without_label_map_are_for_testing(tmp_path):
    for name in ('a', 'b', 'new'):
        write_series(tmp_path / f'scans/{name}', chest(4, 16))
    volume = read_volume(tmp_path / 'scans/a')
    labels = np.random.default_rng(0).integers(0, 4, volume.array.shape)
    for name in ('a', 'b'):
        (tmp_path / 'labels').mkdir(exist_ok=True)
        write_mask(labels, volume, tmp_path / f'labels/{name}.nrrd')
    out = tmp_path / 'Dataset001_x'
    written = write(out, tmp_path / 'scans', tmp_path / 'labels', folds=2)
    assert written == dict(training=2, test=1, folds=2)
    assert [path.name for path in (out / 'imagesTs').iterdir()] == ['new_0000.nii.gz']
    again = read_volume(out / 'imagesTr/a_0000.nii.gz')
    assert np.array_equal(again.array, volume.array)
    assert np.allclose(again.grid.origin, volume.grid.origin)
    assert np.array_equal(read_volume(out / 'labelsTr/a.nii.gz').array, labels)


def test_folds_share_no_patient(phantom, tmp_path):
    for i in range(6):
        write_labels(tmp_path / f'labels/{i}.nii.gz', lungs())
        write_labels(tmp_path / f'scans/{i}.nii.gz', lungs())
    patients = {str(i): f'p{i // 2}' for i in range(6)}
    out = tmp_path / 'Dataset002_y'
    write(out, tmp_path / 'scans', tmp_path / 'labels', patients=patients)
    splits = json.loads((out / 'splits_final.json').read_text())
    assert sorted(scan for fold in splits for scan in fold['val']) == list('012345')
    for fold in splits:
        assert sorted(fold['train'] + fold['val']) == list('012345')
        assert not {patients[scan] for scan in fold['train']} & {
            patients[scan] for scan in fold['val']
        }


def test_what_does_not_fit_is_refused_and_leaves_nothing(phantom, tmp_path):
    masks = phantom / 'masks'
    with pytest.raises(ValueError, match='phantom: nnU-Net calls a data set such as Dataset501'):
        write(tmp_path / 'phantom', phantom, masks)
    with pytest.raises(ValueError, match='4 folds of 3 patients: give from 2'):
        write(tmp_path / 'Dataset501_x', phantom, masks, folds=4)
    write_labels(tmp_path / 'labels/other.nii.gz', lungs())
    with pytest.raises(FileNotFoundError, match='lacks the scans of label maps, 1: other'):
        write(tmp_path / 'Dataset501_x', phantom, tmp_path / 'labels')
    with pytest.raises(FileNotFoundError, match='none: no such folder of scans'):
        write(tmp_path / 'Dataset501_x', tmp_path / 'none', masks)
    for name in ('Normal_15', 'CP_16', 'NCP_17'):
        write_labels(tmp_path / f'small/{name}.nii.gz', lungs())
        write_labels(tmp_path / f'large/{name}.nii.gz', np.pad(lungs(), 1))
    with pytest.raises(ValueError, match='is on another grid than'):
        write(tmp_path / 'Dataset501_x', tmp_path / 'large', tmp_path / 'small')
    assert not (tmp_path / 'Dataset501_x').exists()
