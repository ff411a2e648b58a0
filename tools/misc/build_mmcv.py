"""Build and install MMCV with those compiled operators only that our models use.

All of MMCV compiles for 12 minutes on 2 cores, nms, soft_nms and roi_align for one. This takes
MMCV's own source distribution, leaves out the sources of all other operators, reduces MMCV's
bindings to what is left, and builds by MMCV's own setup.py. Another operator raises an error that
tells how to install all of MMCV. Like MMCV itself it is built for CUDA if PyTorch sees a device or
FORCE_CUDA=1 is set, and heeds TORCH_CUDA_ARCH_LIST and MAX_JOBS.

It needs PyTorch, setuptools<81, wheel and ninja, as does MMCV, and no mmcovid. What MMCV itself
requires comes with the other packages:

    python tools/misc/build_mmcv.py
    pip install -r requirements/mminstall.txt
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from tempfile import TemporaryDirectory

#: What requirements/mminstall.txt asks for.
REQUIREMENT = 'onedl-mmcv==2.3.6'
#: Told behind the version. ``onedl-mmcv==2.3.6`` is satisfied all the same.
LOCAL_VERSION = 'mmcovid'
#: What is bound as MMCV binds it, and the sources of it, below mmcv/ops/csrc/pytorch.
FUNCTIONS = (
    'get_compiler_version',
    'get_compiling_cuda_version',
    'nms',
    'softnms',
    'nms_match',
    'roi_align_forward',
    'roi_align_backward',
)
SOURCES = ('info.cpp', 'nms.cpp', 'roi_align.cpp', 'cpu/nms.cpp', 'cpu/roi_align.cpp')
CUDA_SOURCES = ('cuda/nms_cuda.cu', 'cuda/roi_align_cuda.cu')
#: What of it has an implementation for CUDA.
CUDA_IMPLEMENTATIONS = ('nms_impl', 'roi_align_forward_impl', 'roi_align_backward_impl')
BINDING = 'pybind.cpp'
CUDA_BINDING = 'cuda/cudabind.cpp'
MODULE = 'PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {'
#: Said behind the name of a function that was left out.
LEFT_OUT = (
    'is not in this build of MMCV, which has nms, soft_nms and roi_align only. Install all of '
    'MMCV: pip install --no-build-isolation --no-cache-dir --force-reinstall --no-deps '
    + REQUIREMENT
)


def reduce_binding(code: str) -> str:
    """Of MMCV's ``pybind.cpp`` the module, which binds all but :data:`FUNCTIONS` to an error."""
    _, _, body = code.partition(MODULE)
    bound = {name: text for text, name in re.findall(r'(m\.def\(\s*"(\w+)".*?\);)', body, re.S)}
    if missing := [name for name in FUNCTIONS if name not in bound]:
        raise ValueError(f'{BINDING} does not bind {", ".join(missing)}')
    kept = '\n  '.join(bound[name] for name in FUNCTIONS)
    left_out = ', '.join(json.dumps(name) for name in bound if name not in FUNCTIONS)
    return f"""
{MODULE}
  {kept}
  for (const std::string name : {{{left_out}}}) {{
    m.def(name.c_str(), [name](const py::args &, const py::kwargs &) {{
      PyErr_SetString(PyExc_NotImplementedError, (name + {json.dumps(' ' + LEFT_OUT)}).c_str());
      throw py::error_already_set();
    }});
  }}
}}
"""


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


def reduce_cuda_binding(code: str) -> str:
    """Of MMCV's ``cudabind.cpp`` what :data:`CUDA_IMPLEMENTATIONS` need to be registered."""
    code = re.sub(r'//[^\n]*|/\*.*?\*/', '', code, flags=re.S)
    preprocessor = re.findall(r'^#.*', code, re.M)
    needed, kept = set(CUDA_IMPLEMENTATIONS), []
    # backwards, since C++ declares before it uses
    for statement in reversed(split_statements(re.sub(r'^#.*', '', code, flags=re.M))):
        if find_name(statement) in needed:
            needed.update(re.findall(r'\w+', statement))
            kept.append(statement)
    reduced = '\n'.join([*preprocessor, *reversed(kept), ''])
    for name in CUDA_IMPLEMENTATIONS:
        if f'REGISTER_DEVICE_IMPL({name}, CUDA,' not in reduced:
            raise ValueError(f'{CUDA_BINDING} does not register {name}')
    return reduced


def reduce_sources(source: Path) -> None:
    """Leave of an unpacked MMCV what is built, and mark its version.

    The C++ becomes one file: most of its compilation are PyTorch's headers, read once for each.
    """
    csrc = source / 'mmcv/ops/csrc'
    folder = csrc / 'pytorch'
    project, setup = source / 'pyproject.toml', source / 'setup.py'
    try:
        kept = {name: (folder / name).read_text() for name in CUDA_SOURCES}
        parts = [(folder / name).read_text() for name in SOURCES]
        module = reduce_binding((folder / BINDING).read_text())
        kept[BINDING] = '\n'.join(['#include <torch/extension.h>', *parts, module])
        kept[CUDA_BINDING] = reduce_cuda_binding((folder / CUDA_BINDING).read_text())
        text, found = re.subn(
            r'^version = "([^"+]+)"',
            rf'version = "\1+{LOCAL_VERSION}"',
            project.read_text(),
            flags=re.M,
        )
        if found != 1:
            raise ValueError('pyproject.toml does not tell the version')
        # Left to PyTorch, which knows the C++ of its headers: 2.14 refuses MMCV's C++17.
        built = setup.read_text().replace("['-std=c++17']", '[]')
    except (OSError, ValueError) as error:
        sys.exit(
            f'{source.name}: not the source of {REQUIREMENT} ({error}). Give that version, or '
            f'install all of MMCV: pip install --no-build-isolation {REQUIREMENT}'
        )
    project.write_text(text)
    setup.write_text(built)
    for path in csrc.iterdir():
        if path.name != 'common':
            shutil.rmtree(path)
    for name, text in kept.items():
        path = folder / name
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
    # Python's own flags ask for debugging symbols, which are most of the work and of the file.
    os.environ['CFLAGS'] = f'-g0 {os.environ.get("CFLAGS", "")}'
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
    if args.source is not None and not args.source.exists():
        parser.error(f'{args.source}: no such file or folder. Correct the path.')
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
        run_pip('install', '--force-reinstall', '--no-deps', wheel)


if __name__ == '__main__':
    main()
