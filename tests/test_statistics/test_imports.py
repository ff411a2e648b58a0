import subprocess
import sys

import pytest

_SCRIPT = """
import importlib, pkgutil, sys
package = importlib.import_module(sys.argv[1])
for module in pkgutil.iter_modules(package.__path__):
    importlib.import_module(f'{package.__name__}.{module.name}')
print([name for name in sys.argv[2:] if name in sys.modules])
"""
_DEEP_LEARNING = ('torch', 'mmcv', 'mmengine', 'mmdet')


@pytest.mark.parametrize(
    'package, others',
    [
        ('mmcovid.statistics', ('mmcovid.analysis', 'mmcovid.reporting', 'mmcovid.data_tools')),
        ('mmcovid.analysis.evaluation', ()),
    ],
)
def test_figures_need_no_deep_learning(package, others):
    done = subprocess.run(
        [sys.executable, '-c', _SCRIPT, package, *_DEEP_LEARNING, *others],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == '[]'
