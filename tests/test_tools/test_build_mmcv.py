import re
import string
from pathlib import Path

import mmcv
import mmcv.ops
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tools_utils import load_tool

build_mmcv = load_tool('misc/build_mmcv')

# Made up, in the form of MMCV's own.
BINDING = """
#include <torch/extension.h>

Tensor shear(Tensor input);
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("shear", &shear, "shear (CPU/CUDA) ",
        py::arg("input"));
%s
}
"""
CUDA_BINDING = """
#include "registry.hpp"
Tensor ShearLauncher(Tensor input);  // shears; all
Tensor shear_cuda(Tensor input) { if (true) { return ShearLauncher(input); } }
Tensor shear_impl(Tensor input);
REGISTER_DEVICE_IMPL(shear_impl, CUDA, shear_cuda);
%s
"""


def register(name):
    return f"""
Tensor {name}Launcher(Tensor input,
    int offset);
/* Calls; {{ */
Tensor {name}_cuda(Tensor input, int offset) {{
  return {name}Launcher(input, offset);
}};
Tensor {name}(Tensor input, int offset);
REGISTER_DEVICE_IMPL({name}, CUDA,
                     {name}_cuda);
"""


def without_spaces(code):
    return ''.join(code.replace(';', '').split())


@pytest.fixture
def source(tmp_path):
    """Folder with the files of MMCV's source distribution that count here, and some more."""
    binding = BINDING % '\n'.join(f'  m.def("{f}", &{f}, "{f}");' for f in build_mmcv.FUNCTIONS)
    cuda_binding = CUDA_BINDING % ''.join(map(register, build_mmcv.CUDA_IMPLEMENTATIONS))
    files = {
        'pyproject.toml': '[project]\nname = "onedl-mmcv"\nversion = "2.3.6"\n',
        'setup.py': "args = {'cxx': ['-std=c++17']}\nargs['nvcc'] += ['-std=c++17']\n",
        'mmcv/ops/shear.py': '',
        'mmcv/ops/csrc/common/helper.hpp': '',
        'mmcv/ops/csrc/parrots/nms.cpp': '',
        'mmcv/ops/csrc/pytorch/shear.cpp': '',
        'mmcv/ops/csrc/pytorch/cuda/shear_cuda.cu': '',
        'mmcv/ops/csrc/pytorch/pybind.cpp': binding,
        'mmcv/ops/csrc/pytorch/cuda/cudabind.cpp': cuda_binding,
        **{
            f'mmcv/ops/csrc/pytorch/{name}': f'// text of {name}\n'
            for name in (*build_mmcv.SOURCES, *build_mmcv.CUDA_SOURCES)
        },
    }
    folder = tmp_path / 'onedl_mmcv-2.3.6'
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_requirement_is_that_of_the_stack():
    requirements = Path(__file__).parents[2] / 'requirements/mminstall.txt'
    assert build_mmcv.REQUIREMENT in requirements.read_text().splitlines()


def test_only_what_is_built_is_left(source):
    build_mmcv.reduce_sources(source)
    csrc = source / 'mmcv/ops/csrc'
    left = {str(path.relative_to(csrc)) for path in csrc.rglob('*') if path.is_file()}
    assert left == {
        'common/helper.hpp',
        'pytorch/pybind.cpp',
        'pytorch/cuda/cudabind.cpp',
        'pytorch/cuda/nms_cuda.cu',
        'pytorch/cuda/roi_align_cuda.cu',
    }
    assert (source / 'mmcv/ops/shear.py').exists()
    assert 'version = "2.3.6+mmcovid"' in (source / 'pyproject.toml').read_text()


def test_pytorch_chooses_the_standard_of_cpp(source):
    build_mmcv.reduce_sources(source)
    assert (source / 'setup.py').read_text() == "args = {'cxx': []}\nargs['nvcc'] += []\n"


def test_kept_functions_are_bound_as_they_were_and_others_to_an_error(source):
    build_mmcv.reduce_sources(source)
    code = (source / 'mmcv/ops/csrc/pytorch/pybind.cpp').read_text()
    for name in build_mmcv.SOURCES:
        assert f'// text of {name}' in code
    for function in build_mmcv.FUNCTIONS:
        assert f'm.def("{function}", &{function}, "{function}");' in code
    assert '&shear' not in code
    assert 'for (const std::string name : {"shear"})' in code
    assert f'name + " {build_mmcv.LEFT_OUT}"' in code


def test_cuda_implementations_are_kept_with_what_they_call(source):
    build_mmcv.reduce_sources(source)
    code = (source / 'mmcv/ops/csrc/pytorch/cuda/cudabind.cpp').read_text()
    assert '#include "registry.hpp"' in code
    for name in build_mmcv.CUDA_IMPLEMENTATIONS:
        kept = register(name).replace('/* Calls; { */', '')
        assert without_spaces(kept) in without_spaces(code)
    assert 'shear' not in code.lower()


@given(st.sets(st.text(string.ascii_lowercase, min_size=1), min_size=1), st.data())
def test_statements_are_found_again(names, data):
    """Whatever stands between the braces, each declaration and definition is one statement."""
    body = st.recursive(
        st.just('x = y;'), lambda inner: st.lists(inner).map(lambda parts: f'{{{"".join(parts)}}}')
    )
    statements = [
        f'int {name}(Tensor a)' + data.draw(st.just(';') | body.map('{{{}}}'.format))
        for name in sorted(names)
    ]
    assert build_mmcv.split_statements('\n\n'.join(statements)) == statements
    assert list(map(build_mmcv.find_name, statements)) == sorted(names)


@pytest.mark.parametrize(
    'name, was, becomes, problem',
    [
        ('pybind.cpp', '"softnms"', '"soft_nms"', 'pybind.cpp does not bind softnms'),
        ('pybind.cpp', 'PYBIND11', 'TORCH', 'pybind.cpp does not bind get_compiler_version, '),
        ('cuda/cudabind.cpp', '(nms_impl, CUDA', '(nms_impl, XPU', 'does not register nms_impl'),
    ],
)
def test_another_source_is_refused(source, name, was, becomes, problem):
    path = source / 'mmcv/ops/csrc/pytorch' / name
    path.write_text(path.read_text().replace(was, becomes))
    with pytest.raises(SystemExit, match=re.escape(problem)) as refused:
        build_mmcv.reduce_sources(source)
    assert 'onedl_mmcv-2.3.6: not the source of onedl-mmcv==2.3.6' in str(refused.value)
    assert 'pip install --no-build-isolation onedl-mmcv==2.3.6' in str(refused.value)
    assert (source / 'mmcv/ops/csrc/pytorch/shear.cpp').exists()


@pytest.mark.parametrize(
    'name', ['pyproject.toml', 'setup.py', 'mmcv/ops/csrc/pytorch/cpu/nms.cpp']
)
def test_missing_file_is_named(source, name):
    (source / name).unlink()
    with pytest.raises(SystemExit, match=re.escape(name)):
        build_mmcv.reduce_sources(source)


def test_path_that_is_not_there_is_told(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr('sys.argv', ['build_mmcv.py', str(tmp_path / 'mmcv.tar.gz')])
    with pytest.raises(SystemExit):
        build_mmcv.main()
    assert 'mmcv.tar.gz: no such file or folder. Correct the path.' in capsys.readouterr().err


def test_version_has_to_be_told(source):
    (source / 'pyproject.toml').write_text('[project]\nversion = "2.3.6+other"\n')
    with pytest.raises(SystemExit, match='pyproject.toml does not tell the version'):
        build_mmcv.reduce_sources(source)


@pytest.mark.skipif('+mmcovid' not in mmcv.__version__, reason='all of MMCV is installed')
def test_another_operator_tells_how_to_install_it():
    layer = mmcv.ops.DeformConv2d(4, 4, 3)
    with pytest.raises(NotImplementedError, match='deform_conv_forward is not in this build'):
        layer(torch.ones(1, 4, 8, 8), torch.zeros(1, 18, 6, 6))
