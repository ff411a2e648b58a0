import json

import pytest
from lesions_utils import lungs, write_labels, write_truth

from mmcovid.analysis.lesions import find_truth, load_models
from mmcovid.classes import Classes

CLASSES = Classes.of()


@pytest.fixture
def truth(tmp_path):
    return find_truth(write_truth(tmp_path / 'truth'))


def test_scans_without_prediction_are_refused_and_without_truth_told(truth, tmp_path):
    for name in 'abcd':
        write_labels(tmp_path / f'unet/{name}.nii.gz', lungs())
    models, notes = load_models([f'mine={tmp_path / "unet"}'], truth, CLASSES)
    assert list(models['mine'].files) == ['a', 'b', 'c']
    assert notes == ['1 scans of mine have no truth and are not compared.']
    (tmp_path / 'unet/b.nii.gz').unlink()
    with pytest.raises(FileNotFoundError, match=r'unet: lacks scans of .*truth, 1: b. Predict'):
        load_models([str(tmp_path / 'unet')], truth, CLASSES)
    with pytest.raises(ValueError, match="another folder is called 'x', too"):
        load_models([f'x={truth.source}', f'x={truth.source}'], truth, CLASSES)


def test_results_of_other_classes_or_of_pictures_are_refused(truth, tmp_path):
    path = tmp_path / 'out/a/results.json'
    path.parent.mkdir(parents=True)
    path.write_text('{')
    with pytest.raises(ValueError, match='a/results.json: cannot be read. Predict the scan again'):
        load_models([str(tmp_path / 'out')], truth, CLASSES)
    path.write_text(json.dumps(dict(schema_version=1, model=dict(classes=['lung', 'lesion']))))
    with pytest.raises(ValueError, match='its classes are lung, lesion, not lung, ggo'):
        load_models([str(tmp_path / 'out')], truth, CLASSES)
    known = dict(classes=list(CLASSES.lesion_names))
    path.write_text(json.dumps(dict(schema_version=1, model=known)))
    with pytest.raises(FileNotFoundError, match='has no labels.nii.gz. Only volumes and DICOM'):
        load_models([str(tmp_path / 'out')], truth, CLASSES)
