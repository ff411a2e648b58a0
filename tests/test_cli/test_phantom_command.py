import json
import runpy
import sys

import pytest

SCRIPT = 'tools/dataset_converters/phantom.py'
SMALL = [
    f'--{kind}{split}{unit}'
    for kind in ('', 'lesion-')
    for split in ('', 'val-', 'test-')
    for unit in ('patients-per-class=1', 'slices-per-patient=1')
] + ['--scans-per-class=1', '--slices-per-scan=3']


@pytest.fixture
def generate(repo, tmp_path, monkeypatch):
    """Run the script in this process."""

    def run(*args):
        script = repo / SCRIPT
        monkeypatch.setattr(sys, 'argv', [str(script), '--out', str(tmp_path / 'set'), *args])
        runpy.run_path(str(script), run_name='__main__')
        return tmp_path / 'set'

    return run


def test_options_reach_the_set(generate, capsys):
    out_dir = generate(*SMALL, '--size=64', '--seed=5', '--slices-per-patient=2')
    plan = json.loads((out_dir / 'phantom.json').read_text())
    assert (plan['seed'], plan['size']) == (5, 64)
    assert plan['slice_splits'] == dict(
        train=dict(patients=1, slices=2),
        val=dict(patients=1, slices=1),
        test=dict(patients=1, slices=1),
    )
    assert plan['scans'] == dict(patients=1, slices=3)
    assert len(list((out_dir / 'scans').glob('*.nii.gz'))) == 3
    assert len(list((out_dir / 'covidx_ct' / '2A_images').iterdir())) == 12
    printed = capsys.readouterr().out
    assert 'train_phantom.txt: 6 labelled slices' in printed and 'lesions_test: 2 slices' in printed


def test_errors_are_one_line(generate, tmp_path):
    with pytest.raises(SystemExit, match='error: .* too small'):
        generate('--size=8')
    (tmp_path / 'set').mkdir()
    (tmp_path / 'set' / 'file').touch()
    with pytest.raises(SystemExit, match='error: .*not empty'):
        generate()
