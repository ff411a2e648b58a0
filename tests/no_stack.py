"""Run Python where PyTorch and the OpenMMLab packages cannot be imported."""

import subprocess
import sys

STACK = ('torch', 'mmcv', 'mmengine', 'mmdet')
_HIDE = f"""
import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in {STACK!r}:
            raise ModuleNotFoundError(f'No module named {{name!r}}', name=name)

sys.meta_path.insert(0, Hidden())
"""


def run_without_stack(code, cwd=None):
    """The completed process; its output is text."""
    return subprocess.run(
        [sys.executable, '-c', _HIDE + code], capture_output=True, text=True, cwd=cwd
    )
