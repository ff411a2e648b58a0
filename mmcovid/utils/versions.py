"""What mmcovid needs of the OpenMMLab stack, and how to mend what is missing.

Two sets of distributions offer the same import names: the maintained
``onedl-*`` packages (the default) and the upstream ``mmcv``/``mmengine``/
``mmdet``. Pip cannot say "either of them", so the package metadata names
neither and this module checks the imported modules instead.
"""

from dataclasses import dataclass
from importlib import import_module

# The tried set, as in requirements/mminstall.txt.
PINS = {
    'mmcv': 'onedl-mmcv==2.3.6',
    'mmengine': 'onedl-mmengine==0.10.12',
    'mmdet': 'onedl-mmdetection==3.5.1',
}
RANGES = {
    'mmcv': '>=2.1.0,<3.0.0',
    'mmengine': '>=0.10.0,<1.0.0',
    'mmdet': '>=3.1.0,<4.0.0',
}

# Built in isolation, onedl-mmcv installs without its operators and pip caches
# that wheel: hence both --no- options.
REBUILD_MMCV = (
    'pip uninstall -y mmcv mmcv-lite onedl-mmcv && pip install "setuptools>=80,<81" wheel ninja '
    f'&& pip install --no-build-isolation --no-cache-dir {PINS["mmcv"]}'
)
INSTALL = {
    'torch': 'pip install torch',
    'mmengine': f'pip install {PINS["mmengine"]}',
    'mmcv': REBUILD_MMCV,
    'mmdet': f'pip install {PINS["mmdet"]}',
}
INSTALL_OPENCV = (
    'apt-get install libgl1 libglib2.0-0, or: pip uninstall -y opencv-python && '
    'pip install --force-reinstall --no-deps opencv-python-headless'
)


@dataclass(frozen=True)
class Problem:
    """Something that keeps mmcovid from working, and the command that mends it."""

    what: str
    remedy: str

    def __str__(self) -> str:
        return f'{self.what}; to mend it, run: {self.remedy}'


def check_import(module: str) -> Problem | None:
    """Import ``module`` and tell in one sentence why that failed, if it did."""
    try:
        import_module(module)
    except ModuleNotFoundError as error:
        name = error.name or module
        return Problem(f'{name} is not installed', INSTALL.get(name, f'pip install {name}'))
    # A stack that does not fit fails in many ways: an AssertionError of mmdet's
    # own guard, an OSError of the loader, an AttributeError of a changed API.
    except Exception as error:
        remedy = INSTALL.get(module, f'pip install --force-reinstall {module}')
        if 'libGL' in str(error) or 'libgthread' in str(error):
            remedy = INSTALL_OPENCV
        return Problem(f'{module} cannot be imported ({type(error).__name__}: {error})', remedy)
    return None


def check_version(module: str, version: str) -> Problem | None:
    """Compare a version with the range that mmcovid works with."""
    from packaging.specifiers import SpecifierSet

    if SpecifierSet(RANGES[module]).contains(version, prereleases=True):
        return None
    return Problem(
        f'mmcovid needs {module}{RANGES[module]}, but {module} {version} is installed',
        INSTALL[module],
    )


def is_tested(module: str, version: str) -> bool:
    """Whether a version is the one that the tests of mmcovid run on."""
    from packaging.specifiers import SpecifierSet

    return SpecifierSet(f'=={PINS[module].partition("==")[2]}').contains(version)


def check_operators() -> Problem | None:
    """Tell whether the compiled operators of mmcv can be loaded."""
    try:
        import_module('mmcv._ext')
    except ModuleNotFoundError:
        what = 'mmcv is installed without its compiled operators (mmcv._ext is missing)'
    except ImportError as error:
        what = f'the compiled operators of mmcv do not fit the installed PyTorch ({error})'
    else:
        return None
    return Problem(what, REBUILD_MMCV)


def find_problems() -> list[Problem]:
    """Check PyTorch, mmengine, mmcv with its operators, and mmdet.

    Returns:
        list[Problem]: What stands in the way, the cause before its effects;
        empty if nothing does.
    """
    problems = []
    for module in ('torch', 'mmengine', 'mmcv', 'mmdet'):
        problem = check_import(module)
        if problem is None and module in RANGES:
            problem = check_version(module, import_module(module).__version__)
        if problem is None and module == 'mmcv':
            problem = check_operators()
        if problem is not None:
            problems.append(problem)
    return problems


def check_stack() -> None:
    """Refuse a stack that mmcovid cannot work with.

    Raises:
        ImportError: With one sentence that names the first problem and the
            command that mends it.
    """
    problems = find_problems()
    if problems:
        raise ImportError(str(problems[0]))
