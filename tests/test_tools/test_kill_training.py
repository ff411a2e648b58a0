import os
import subprocess
import sys

import pytest
import torch
from tools_utils import TOOLS, load_tool


@pytest.mark.slow
def test_a_few_kills(tmp_path):
    # in a process of its own: it forks, and stands in the folder
    done = subprocess.run(
        [sys.executable, TOOLS / 'misc/kill_training.py', tmp_path / 'out']
        + ['--kills', '4', '--iterations', '6'],
        env=dict(os.environ, PYTHONPATH=str(TOOLS.parent), OMP_NUM_THREADS='1'),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert '4 kills' in done.stdout and 'faults: none' in done.stdout


def write(path, weight, step):
    torch.save(
        dict(
            state_dict=dict(weight=torch.tensor([weight])),
            optimizer=dict(state={0: dict(step=torch.tensor(step))}),
        ),
        path,
    )


def test_faults_are_found(tmp_path):
    tool = load_tool('misc/kill_training')
    write(tmp_path / 'iter_3.pth', 1.0, 3)
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'iter_3.pth'))
    assert tool.examine(tmp_path, before=3) == ('elsewhere', [], 3)
    write(tmp_path / 'iter_4.pth', 1.0, 4)
    assert tool.examine(tmp_path, before=3) == ('between a file and last_checkpoint', [], 4)
    (tmp_path / '.iter_5.1.tmp.pth').touch()
    assert tool.examine(tmp_path, before=3) == ('in the writing of a file', [], 4)
    for name in ('iter_3.pth', 'iter_4.pth'):
        (tmp_path / name).write_bytes(b'torn')
    _, faults, saved = tool.examine(tmp_path, before=3)
    assert len(faults) == 3 and saved == 0


def test_tensors_are_compared_bit_by_bit(tmp_path):
    tool = load_tool('misc/kill_training')
    write(tmp_path / 'a.pth', 1.0, 3)
    write(tmp_path / 'b.pth', 1.0 + 2**-23, 3)
    write(tmp_path / 'c.pth', 1.0, 4)
    assert tool.differing(tmp_path / 'a.pth', tmp_path / 'a.pth') == (0, 2)
    assert tool.differing(tmp_path / 'b.pth', tmp_path / 'a.pth') == (1, 2)
    assert tool.differing(tmp_path / 'c.pth', tmp_path / 'a.pth') == (1, 2)
