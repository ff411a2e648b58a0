import os
import subprocess
import sys

import pytest

from mmcovid.utils import doctor


@pytest.fixture
def without_operators(tmp_path):
    """Run Python in an environment in which ``mmcv._ext`` cannot be found."""
    (tmp_path / 'sitecustomize.py').write_text("import sys\nsys.modules['mmcv._ext'] = None\n")
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get('PYTHONPATH')]))

    def run(*args):
        return subprocess.run(
            [sys.executable, *args],
            capture_output=True,
            text=True,
            env={**os.environ, 'PYTHONPATH': path},
        )

    return run


def test_healthy_installation(capsys):
    assert doctor.main() == 0
    text = capsys.readouterr().out
    assert '[ ok ] operators on cpu' in text
    assert 'FAIL' not in text


def test_import_without_operators_is_one_sentence(without_operators):
    assert without_operators('-c', 'import mmcovid').returncode == 0
    done = without_operators('-c', 'import mmcovid.registry')
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith('ImportError: mmcv is installed without its compiled operators')
    assert 'pip install --no-build-isolation' in last


def test_doctor_runs_without_operators(without_operators):
    done = without_operators('-m', 'mmcovid.utils.doctor')
    assert done.returncode == 1, done.stderr
    assert 'onedl-' in done.stdout
    assert 'remedy: pip uninstall -y mmcv' in done.stdout
    assert '[FAIL] operators on cpu' in done.stdout


def test_wrong_results_are_noticed(monkeypatch):
    import mmcv.ops

    stock = mmcv.ops.roi_align
    monkeypatch.setattr(mmcv.ops, 'roi_align', lambda *args: stock(*args) + 1)
    finding = doctor.run_operators('cpu')
    assert finding.status == 'FAIL'
    assert finding.remedy


def test_untested_versions_are_told(monkeypatch):
    import mmdet

    assert doctor.examine_versions() == []
    monkeypatch.setattr(mmdet, '__version__', '3.2.0')
    (finding,) = doctor.examine_versions()
    assert finding.status == 'warn' and 'not tested with 3.2.0' in str(finding)


@pytest.mark.parametrize(
    'version, told', [('2.3.6', 'all operators'), ('2.3.6+mmcovid', 'only the operators nms, ')]
)
def test_which_operators_are_there_is_told(version, told, monkeypatch):
    import mmcv

    monkeypatch.setattr(mmcv, '__version__', version)
    (finding,) = doctor.examine_mmcv()
    assert finding.status == 'ok' and told in finding.detail
    assert doctor.examine_versions() == []


def test_libgl_remedy(monkeypatch):
    problem = doctor.check_import('a_module_that_is_not_there')
    monkeypatch.setattr(doctor, 'check_import', lambda module: problem if module == 'cv2' else None)
    monkeypatch.setattr(doctor, 'find_problems', list)
    (finding,) = doctor.examine_imports()
    assert finding.status == 'FAIL'
    assert 'libgl1' in str(finding)


def test_torchvision_of_another_pytorch_is_a_warning(tmp_path, monkeypatch):
    (tmp_path / 'torchvision.py').write_text(
        "raise RuntimeError('operator torchvision::nms does not exist')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, 'torchvision', raising=False)
    (finding,) = doctor.examine_torchvision()
    assert finding.status == 'warn'
    assert 'pip uninstall -y torchvision' in finding.remedy
