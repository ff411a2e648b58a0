import json
import os
import subprocess
import sys

import numpy as np
import SimpleITK as sitk
from ct_utils import chest

#: Predicts a scan where neither PyTorch nor OpenMMLab's packages can be imported.
SCRIPT = """
import sys
for name in ('torch', 'mmcv', 'mmengine', 'mmdet'):
    sys.modules[name] = None
from known_predictor import KnownPredictor
from mmcovid.scans import Settings, run_scans
scan, labels, out = sys.argv[1:]
row, = run_scans(KnownPredictor(labels), [scan], out, Settings(region='all'), show_progress=False)
assert row['status'] == 'ok', row
"""


def test_any_predictor_will_do_without_pytorch(repo, tmp_path):
    labels = np.zeros((3, 16, 16), np.uint8)
    labels[:, 2:8, 2:8], labels[1, 3:5, 3:5], labels[2, 4] = 1, 2, 3
    for name, array in (('scan', chest(3, 16)), ('known', labels)):
        image = sitk.GetImageFromArray(array)
        image.SetSpacing((2, 2, 5))
        sitk.WriteImage(image, str(tmp_path / f'{name}.nrrd'))
    path = os.pathsep.join([str(repo), str(repo / 'tests')])
    subprocess.run(
        [
            sys.executable,
            '-c',
            SCRIPT,
            tmp_path / 'scan.nrrd',
            tmp_path / 'known.nrrd',
            tmp_path / 'out',
        ],
        check=True,
        env={**os.environ, 'PYTHONPATH': path},
    )

    folder = tmp_path / 'out' / 'scan'
    assert sorted(file.name for file in folder.iterdir()) == [
        'consolidation.nii.gz',
        'ggo.nii.gz',
        'labels.nii.gz',
        'lung.nii.gz',
        'profile.png',
        'profile.svg',
        'report.html',
        'results.json',
        'slices.csv',
        'viewer.html',
    ]
    found = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / 'labels.nii.gz')))
    assert np.array_equal(found, labels)
    results = json.loads((folder / 'results.json').read_text())
    assert results['model']['name'] == 'known' and results['settings']['temperature'] == 1.5
    assert results['classification']['class'] == 'covid19'
    assert results['volumes']['ggo'] == dict(
        voxels=4, ml=0.08, share_of_lung=4 / (labels > 0).sum()
    )
    assert np.shape(results['slices'][0]['roi_sequence']['attention']) == (2, 2)
    page = (folder / 'report.html').read_text()
    assert 'COVID-19' in page and page.count('class-relevant branch</figcaption>') == 3
