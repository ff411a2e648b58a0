import json

import numpy as np
import pytest
import SimpleITK as sitk
from tools_utils import load_tool

scan_class_rules = load_tool('analysis_tools/scan_class_rules')


def table(text):
    lines = [line.strip('| ').split(' | ') for line in text.splitlines() if line.startswith('|')]
    return {line[0].strip('`'): line[1:] for line in lines[2:]}


def test_simulated_scans_of_few_diseased_slices(capsys):
    scan_class_rules.main(['--quality', 'sharp', '--number', '180', '--rounds', '20'])
    found = table(capsys.readouterr().out)
    assert [cell[:4] for cell in found['mean'][:3]] == ['1.00', '0.00', '0.00']
    assert [cell[:4] for cell in found['run'][2:7]] == ['1.00'] * 5
    assert found['noisy-or'][0].startswith('0.00')  # of 30 to 200 slices one always errs


def test_scans_of_the_phantom(tmp_path, capsys):
    """Slices outside of the region count neither for the class nor for the share."""
    scans, results = tmp_path / 'scans', tmp_path / 'results'
    (scans / 'masks').mkdir(parents=True)
    lines = []
    for label, name in enumerate(('Normal_1', 'CP_2', 'NCP_3')):
        mask = np.ones((5, 8, 8), np.uint8)
        mask[:2] = 2 if label else 1
        sitk.WriteImage(sitk.GetImageFromArray(mask), str(scans / 'masks' / f'{name}.nii.gz'))
        lines.append(f'{name}.nii.gz {label}')
        scores = dict(normal=0.0, cp=0.0, covid19=0.0)
        scores[list(scores)[label]] = 1.0
        (results / name).mkdir(parents=True)
        rows = [dict(index=i, in_region=i > 0, scores=scores) for i in range(5)]
        (results / name / 'results.json').write_text(json.dumps(dict(slices=rows)))
    (scans / 'scans.txt').write_text('\n'.join(lines))
    found = scan_class_rules.read_scans(results, scans)
    assert [scan.label for scan in found] == [0, 1, 2]
    assert [scan.share for scan in found] == [0, 0.25, 0.25]
    assert found[2].scores == pytest.approx(np.tile([0, 0, 1], (4, 1)))
    scan_class_rules.main([str(results), '--scans', str(scans), '--rounds', '20'])
    assert table(capsys.readouterr().out)['run'][0].startswith('1.00')
    with pytest.raises(SystemExit):
        scan_class_rules.main([str(results)])
