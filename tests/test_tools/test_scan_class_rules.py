import numpy as np
import pytest
import SimpleITK as sitk
from scan_class_utils import random_rule, write_results
from tools_utils import load_tool

from mmcovid.scan_class import fit

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
        scores = np.tile(np.eye(3)[label], (5, 1))
        write_results(results / name, scores, np.arange(5) > 0, scores @ np.ones((3, 2)))
    (scans / 'scans.txt').write_text('\n'.join(lines))
    found = scan_class_rules.read_scans(results, scans, vectors=True)
    assert [scan.label for scan in found] == [0, 1, 2]
    assert [scan.share for scan in found] == [0, 0.25, 0.25]
    assert found[2].slices.scores == pytest.approx(np.tile([0, 0, 1], (4, 1)))
    assert found[2].slices.vectors.shape == (4, 2)
    rule = random_rule('vectors', np.random.default_rng(0), size=2)
    rule.save(tmp_path / 'mine.json')
    options = ['--scans', str(scans), '--rounds', '20', '--rule', str(tmp_path / 'mine.json')]
    scan_class_rules.main([str(results), *options])
    lines = table(capsys.readouterr().out)
    assert lines['run'][0].startswith('1.00')
    right = float(rule(found[0].slices)[0].argmax() == 0)
    assert lines['mine'][0].startswith(f'{right:.2f}')
    for wrong in ([], [*options, '--fit', '6']):
        with pytest.raises(SystemExit):
            scan_class_rules.main([str(results), *wrong])


def test_a_rule_is_fitted_to_other_simulated_scans(monkeypatch, capsys):
    monkeypatch.setattr(fit, 'WEIGHT_DECAYS', (0.1,))
    monkeypatch.setattr(fit, 'STARTS', 1)
    options = ['--quality', 'sharp', '--number', '18', '--rounds', '20']
    scan_class_rules.main([*options, '--fit', '18'])
    assert 'learned' in table(capsys.readouterr().out)
