"""Which rooms need PyTorch and the OpenMMLab packages, and what importing mmcovid costs."""

import subprocess
import sys

import pytest
from no_stack import run_without_stack

#: What neither trains nor loads a model.
FREE_ROOMS = (
    'analysis.attention.deletion',
    'analysis.attention.page',
    'analysis.comparison.run',
    'analysis.attention.measure',
    'analysis.comparison.run',
    'analysis.evaluation',
    'analysis.lesions',
    'cards',
    'classes',
    'cli',
    'ct',
    'data_tools.conversion',
    'data_tools.leakage',
    'data_tools.phantom.dataset',
    'data_tools.verification',
    'deployment.onnx_predictor',
    'drawing.rois',
    'reporting',
    'reporting.templating',
    'results',
    'scans.archive',
    'scans.run',
    'statistics.bootstrap',
    'statistics.calibration',
    'statistics.classification',
    'statistics.clusters',
    'statistics.lesion_ap',
    'statistics.lesions',
    'utils.doctor',
    'utils.files',
    'utils.provenance',
)


def test_rooms_need_no_stack():
    done = run_without_stack(
        'from importlib import import_module\n'
        f'for room in {FREE_ROOMS!r}:\n'
        '    print(room)\n'
        '    import_module(f"mmcovid.{room}")\n'
    )
    assert done.returncode == 0, f'{done.stdout}{done.stderr}'


def test_import_costs_nothing():
    done = run_without_stack(
        'before = set(sys.modules)\n'
        'import mmcovid\n'
        'print({name.partition(".")[0] for name in set(sys.modules) - before})\n'
        'mmcovid.config_path("one-shot_r18_fpn_lstm2_cncb")'
    )
    assert done.returncode == 0, done.stderr
    loaded = eval(done.stdout)
    assert not loaded & {'numpy', 'cv2', 'scipy', 'rich', 'matplotlib'}, loaded


def test_room_that_needs_the_stack_says_how_to_mend_it():
    done = run_without_stack('import mmcovid.registry')
    last = done.stderr.splitlines()[-1]
    assert last.startswith('ImportError: torch is not installed; to mend it, run: pip install')


@pytest.mark.parametrize(
    'order',
    [
        'import mmcovid\nfrom mmengine.config import Config\n',
        'from mmengine.config import Config\nimport mmcovid\n',
        'import mmcovid.checkpoints.safetensors\nfrom mmengine.config import Config\n',
        'import mmcovid.cli.train\nfrom mmengine.config import Config\n',
    ],
)
def test_mmengine_knows_the_prefix_and_safetensors(order, tmp_path):
    (tmp_path / 'mine.py').write_text(
        "_base_ = 'mmcovid::one_shot/one-shot_r18_fpn_lstm1_cncb.py'\n"
    )
    done = subprocess.run(
        [
            sys.executable,
            '-c',
            order + 'print(Config.fromfile("mine.py").model.attention_head.num_branches)\n'
            'from mmengine.runner import CheckpointLoader\n'
            'print(any(".safetensors" in key.replace("\\\\", "") '
            'for key in CheckpointLoader._schemes))',
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.stdout.split()[-2:] == ['1', 'True'], done.stderr
