"""Build and install MMCV with those compiled operators only that our models use.

All of MMCV compiles for 12 minutes on 2 cores, nms, soft_nms and roi_align for one. This takes
MMCV's own source distribution, leaves out the sources of all other operators, reduces MMCV's
bindings to what is left, and builds by MMCV's own setup.py. Another operator raises an error that
tells how to install all of MMCV. Like MMCV itself it is built for CUDA if PyTorch sees a device or
FORCE_CUDA=1 is set, and heeds TORCH_CUDA_ARCH_LIST and MAX_JOBS.

It needs PyTorch, setuptools<81, wheel and ninja, as does MMCV, and no mmcovid:

    python tools/misc/build_mmcv.py
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

#: What requirements/mminstall.txt asks for.
REQUIREMENT = 'onedl-mmcv==2.3.6'
#: Told behind the version. ``onedl-mmcv==2.3.6`` is satisfied all the same.
LOCAL_VERSION = 'mmcovid'
#: Functions as MMCV binds them; the operators of Python are nms, soft_nms, nms_match and roi_align.
FUNCTIONS = (
    'get_compiler_version',
    'get_compiling_cuda_version',
    'nms',
    'softnms',
    'nms_match',
    'roi_align_forward',
    'roi_align_backward',
)
#: Where they are, below mmcv/ops/csrc/pytorch. The bindings are reduced, the others stay as they are.
BINDING = 'pybind.cpp'
CUDA_BINDING = 'cuda/cudabind.cpp'
SOURCES = (
    'info.cpp',
    'nms.cpp',
    'roi_align.cpp',
    'cpu/nms.cpp',
    'cpu/roi_align.cpp',
    'cuda/nms_cuda.cu',
    'cuda/roi_align_cuda.cu',
)
#: Which of the functions have an implementation of their own for CUDA.
CUDA_FUNCTIONS = ('nms', 'roi_align_forward', 'roi_align_backward')
#: Said behind the name of an operator that was left out.
LEFT_OUT = (
    'is not in this build of MMCV, which has nms, soft_nms and roi_align only. Install all of MMCV: '
    f'pip install --no-build-isolation --no-cache-dir --force-reinstall --no-deps {REQUIREMENT}'
)
MODULE = 'PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {'


def split_statements(code: str) -> list[str]:
    """Split C++ without comments and preprocessor lines into its declarations and definitions."""
    statements, start, depth = [], 0, 0
    for mark in re.finditer(r'[{};]', code):
        depth += {'{': 1, '}': -1, ';': 0}[mark[0]]
        if depth == 0:
            statements.append(code[start : mark.end()].strip())
            start = mark.end()
    return statements


def find_name(statement: str) -> str:
    """The function that is declared, defined, or registered for a device."""
    found = re.search(r'REGISTER_DEVICE_IMPL\(\s*(\w+)|(\w+)\s*\(', statement)
    return (found[1] or found[2]) if found else ''


def keep_needed(code: str, names: Iterable[str]) -> str:
    """Reduce C++ to the functions of these names and what they need, which stands before them."""
    code = re.sub(r'//[^\n]*|/\*.*?\*/', '', code, flags=re.DOTALL)
    includes = re.findall(r'^#.*$', code, flags=re.MULTILINE)
    needed, kept = set(names), []
    for statement in reversed(split_statements(re.sub(r'^#.*$', '', code, flags=re.MULTILINE))):
        if find_name(statement) in needed:
            needed.update(re.findall(r'\w+', statement))
            kept.append(statement)
    return '\n'.join([*includes, *reversed(kept), ''])


def reduce_binding(code: str) -> str:
    """Bind :data:`FUNCTIONS` as MMCV's ``pybind.cpp`` does, and all else to an error."""
    declarations, _, body = code.partition(MODULE)
    bound = {name: text for text, name in re.findall(r'(m\.def\(\s*"(\w+)".*?\);)', body, re.DOTALL)}
    if missing := [name for name in FUNCTIONS if name not in bound]:
        raise ValueError(f'{BINDING} does not bind {", ".join(missing)}')
    left_out = ', '.join(json.dumps(name) for name in bound if name not in FUNCTIONS)
    return f"""{keep_needed(declarations, FUNCTIONS)}
{MODULE}
  {' '.join(bound[name] for name in FUNCTIONS)}
  for (const std::string name : {{{left_out}}}) {{
    m.def(name.c_str(), [name](const py::args &, const py::kwargs &) {{
      PyErr_SetString(PyExc_NotImplementedError, (name + {json.dumps(' ' + LEFT_OUT)}).c_str());
      throw py::error_already_set();
    }});
  }}
}}
"""


def reduce_cuda_binding(code: str) -> str:
    """Register the CUDA implementations of :data:`CUDA_FUNCTIONS` as MMCV's ``cudabind.cpp`` does."""
    names = [f'{name}_impl' for name in CUDA_FUNCTIONS]
    reduced = keep_needed(code, names)
    for name in names:
        if f'REGISTER_DEVICE_IMPL({name}, CUDA,' not in reduced:
            raise ValueError(f'{CUDA_BINDING} does not register {name}')
    return reduced


def reduce_sources(source: Path) -> None:
    """Leave of an unpacked MMCV what is built, and mark its version."""
    csrc = source / 'mmcv/ops/csrc'
    sources = csrc / 'pytorch'
    try:
        kept = {name: (sources / name).read_text() for name in SOURCES}
        kept[BINDING] = reduce_binding((sources / BINDING).read_text())
        kept[CUDA_BINDING] = reduce_cuda_binding((sources / CUDA_BINDING).read_text())
        project = source / 'pyproject.toml'
        text, found = re.subn(
            r'^version = "([^"+]+)"$',
            rf'version = "\1+{LOCAL_VERSION}"',
            project.read_text(),
            flags=re.MULTILINE,
        )
        if found != 1:
            raise ValueError('pyproject.toml does not tell the version')
    except (OSError, ValueError) as error:
        sys.exit(
            f'{source.name}: the source is not as that of {REQUIREMENT} ({error}). Give that '
            f'version, or install all of MMCV: pip install --no-build-isolation {REQUIREMENT}'
        )
    project.write_text(text)
    for folder in csrc.iterdir():
        if folder.name != 'common':
            shutil.rmtree(folder)
    for name, text in kept.items():
        path = sources / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def run_pip(*args: str | Path) -> None:
    """Run the pip of this environment."""
    command = [sys.executable, '-m', 'pip', '--disable-pip-version-check', *map(str, args)]
    if status := subprocess.run(command).returncode:
        sys.exit(status)


def unpack(source: Path | None, folder: Path) -> Path:
    """Put MMCV's source into a folder: what is given, or what pip gets."""
    if source is None:
        # fmt: off
        run_pip('download', '--no-deps', '--no-binary', ':all:', '--no-build-isolation',
                '--dest', folder / 'archive', REQUIREMENT)
        # fmt: on
        (source,) = (folder / 'archive').iterdir()
    if source.is_dir():
        return Path(shutil.copytree(source, folder / 'source' / source.resolve().name))
    shutil.unpack_archive(source, folder / 'source')
    (unpacked,) = (folder / 'source').iterdir()
    return unpacked


def build_wheel(source: Path, folder: Path) -> Path:
    """Compile an unpacked MMCV into a wheel in that folder."""
    os.environ.setdefault('MAX_JOBS', str(os.cpu_count()))
    # A CUDA toolkit may lack headers that PyTorch's own need; pip's packages of CUDA have them.
    headers = sorted(Path(sysconfig.get_path('purelib')).glob('nvidia/*/include'))
    path = [*filter(None, [os.environ.get('CPLUS_INCLUDE_PATH')]), *map(str, headers)]
    os.environ['CPLUS_INCLUDE_PATH'] = os.pathsep.join(path)
    run_pip('wheel', '--no-deps', '--no-build-isolation', '--wheel-dir', folder, source)
    (wheel,) = folder.glob(f'*+{LOCAL_VERSION}-*.whl')
    return wheel


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'source',
        nargs='?',
        type=Path,
        help=f'source distribution of {REQUIREMENT}, packed or not; without it pip downloads it',
    )
    parser.add_argument('--wheel-dir', type=Path, help='keep the wheel here, and do not install it')
    args = parser.parse_args()
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        source = unpack(args.source, folder)
        reduce_sources(source)
        wheel = build_wheel(source, folder)
        if args.wheel_dir is not None:
            args.wheel_dir.mkdir(parents=True, exist_ok=True)
            print(shutil.copy(wheel, args.wheel_dir))
            return
        # pip would keep a build of the same version, such as one for another PyTorch.
        run_pip('uninstall', '--yes', 'onedl-mmcv')
        run_pip('install', wheel)


if __name__ == '__main__':
    main()
