import numpy as np
import pytest
import SimpleITK as sitk
from lesions_utils import lungs, write_labels, write_truth

from mmcovid.classes import Classes
from mmcovid.data_tools.label_maps import find_label_maps, read_labels, read_patients

CLASSES = Classes.of()


@pytest.fixture
def truth(tmp_path):
    return find_label_maps(write_truth(tmp_path / 'truth'))


def test_scans_are_named_by_their_files(truth, tmp_path):
    assert list(truth) == ['a', 'b', 'c']
    write_labels(tmp_path / 'truth/a.nrrd', lungs())
    with pytest.raises(ValueError, match=r'a.nrrd: a.nii.gz is of the same scan'):
        find_label_maps(tmp_path / 'truth')


def test_a_folder_without_label_maps(tmp_path):
    with pytest.raises(FileNotFoundError, match='none: no such folder of label maps'):
        find_label_maps(tmp_path / 'none')
    with pytest.raises(FileNotFoundError, match='has no label map. Give a folder of NIfTI'):
        find_label_maps(tmp_path)


def test_labels_are_turned_as_scans_are(tmp_path):
    labels = lungs((np.s_[1, 3, 3], 2))
    path = write_labels(
        tmp_path / 'turned.nii.gz', labels[:, ::-1, ::-1], direction=(-1, 0, 0, 0, -1, 0, 0, 0, 1)
    )
    assert np.array_equal(read_labels(path, CLASSES).array, labels)


def test_what_is_no_label_map_of_the_grid_is_refused(truth, tmp_path):
    like = read_labels(truth['a'], CLASSES)
    many = write_labels(tmp_path / 'many.nii.gz', lungs((np.s_[1, 3, 3], 7)))
    with pytest.raises(ValueError, match='has the label 7, and lung, ggo, .* are 1 to 3'):
        read_labels(many, CLASSES)
    for kwargs in (dict(labels=lungs()[1:]), dict(labels=lungs(), spacing=(2, 2, 4))):
        other = write_labels(tmp_path / 'other.nii.gz', **kwargs)
        with pytest.raises(ValueError, match=r'is on another grid than .*a.nii.gz'):
            read_labels(other, CLASSES, like)


def test_scores_instead_of_labels_are_refused(tmp_path):
    image = sitk.GetImageFromArray(np.full((2, 4, 4), 0.5, np.float32))
    sitk.WriteImage(image, str(tmp_path / 'a.nii.gz'))
    with pytest.raises(ValueError, match='is no label map'):
        read_labels(tmp_path / 'a.nii.gz', CLASSES)


def test_patients_of_a_table(tmp_path):
    path = tmp_path / 'patients.csv'
    path.write_text('scan,patient\na,p1\nb,p1\nx,p9\n')
    assert read_patients(path, ['a', 'b']) == dict(a='p1', b='p1')
    with pytest.raises(ValueError, match='tells no patient of 1: c'):
        read_patients(path, ['a', 'c'])
    path.write_text('name,patient\na,p1\n')
    with pytest.raises(ValueError, match='has no columns scan and patient'):
        read_patients(path, ['a'])
