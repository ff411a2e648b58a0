import importlib
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcovid.utils import versions

ROOT = Path(__file__).parents[2]


def test_pins_are_those_of_the_requirements():
    lines = (ROOT / 'requirements' / 'mminstall.txt').read_text().splitlines()
    assert set(versions.PINS.values()) < set(lines)


def test_this_stack_is_accepted():
    assert versions.find_problems() == []


@pytest.mark.parametrize(
    'module, version',
    [
        ('mmcv', '2.1.0'),
        ('mmcv', '2.2.0'),
        ('mmcv', '2.3.6'),
        ('mmengine', '0.10.0'),
        ('mmengine', '0.10.12'),
        ('mmdet', '3.1.0'),
        ('mmdet', '3.3.0'),
        ('mmdet', '3.5.1'),
    ],
)
def test_accepted(module, version):
    assert versions.check_version(module, version) is None


@pytest.mark.parametrize(
    'module, version',
    [
        ('mmcv', '2.0.1'),
        ('mmcv', '1.7.2'),
        ('mmcv', '3.0.0'),
        ('mmengine', '0.9.1'),
        ('mmengine', '1.0.0'),
        ('mmdet', '2.28.2'),
        ('mmdet', '3.0.0'),
        ('mmdet', '4.0.0'),
    ],
)
def test_refused(module, version):
    problem = versions.check_version(module, version)
    assert f'{module} {version} is installed' in str(problem)
    assert versions.PINS[module] in problem.remedy


@given(st.tuples(st.integers(0, 9), st.integers(0, 40), st.integers(0, 40)))
def test_range_of_mmcv(version):
    problem = versions.check_version('mmcv', '.'.join(map(str, version)))
    assert (problem is None) == ((2, 1, 0) <= version < (3, 0, 0))


def test_missing_module_gives_the_command():
    problem = versions.check_import('a_module_that_is_not_there')
    assert str(problem) == (
        'a_module_that_is_not_there is not installed; to mend it, run: '
        'pip install a_module_that_is_not_there'
    )


@pytest.mark.parametrize(
    'text, remedy',
    [
        ("ImportError('libGL.so.1: cannot open shared object file')", 'libgl1'),
        ("AssertionError('MMCV==2.2.0 is incompatible')", 'pip install --force-reinstall'),
    ],
)
def test_module_that_fails(text, remedy, tmp_path, monkeypatch):
    (tmp_path / 'broken_module.py').write_text(f'raise {text}\n')
    monkeypatch.syspath_prepend(tmp_path)
    problem = versions.check_import('broken_module')
    assert re.search(r"\('(.*)'\)", text)[1] in problem.what
    assert remedy in problem.remedy


@pytest.mark.parametrize(
    'error, what',
    [
        (ModuleNotFoundError('mmcv._ext'), 'mmcv._ext is missing'),
        (ImportError('undefined symbol'), 'do not fit the installed PyTorch'),
    ],
)
def test_operators_that_do_not_load(error, what, monkeypatch):
    def import_module(name):
        if name == 'mmcv._ext':
            raise error
        return importlib.import_module(name)

    monkeypatch.setattr(versions, 'import_module', import_module)
    with pytest.raises(ImportError, match=what) as info:
        versions.check_stack()
    assert '\n' not in str(info.value)
    assert '--no-build-isolation --no-cache-dir onedl-mmcv==' in str(info.value)
