"""Examine the installation: ``mmcovid doctor``.

Prints the versions, runs compiled operators on every device there is, and
ends with exit status 1 and the remedies if something does not work.
"""

import platform
import sys
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path

from mmcovid.version import __version__

from .versions import (
    INSTALL_OPENCV,
    PINS,
    REBUILD_MMCV,
    check_import,
    check_operators,
    find_problems,
    is_tested,
)

# Where an import name comes from: the first distribution found is shown.
DISTRIBUTIONS = {
    'torch': ('torch',),
    'mmengine': ('onedl-mmengine', 'mmengine', 'mmengine-lite'),
    'mmcv': ('onedl-mmcv', 'mmcv', 'mmcv-lite'),
    'mmdet': ('onedl-mmdetection', 'mmdet'),
    'mim': ('onedl-mim', 'openmim'),
    'numpy': ('numpy',),
    'cv2': ('opencv-python', 'opencv-python-headless', 'opencv-contrib-python'),
    'pycocotools': ('pycocotools',),
    'sklearn': ('scikit-learn',),
    'SimpleITK': ('SimpleITK',),
    'pydicom': ('pydicom',),
    'safetensors': ('safetensors',),
    'torchvision': ('torchvision',),
}


@dataclass(frozen=True)
class Finding:
    """One line of the report; ``status`` is ``'ok'``, ``'warn'`` or ``'FAIL'``."""

    status: str
    subject: str
    detail: str
    remedy: str = ''

    def __str__(self) -> str:
        line = f'[{self.status:^4}] {self.subject}: {self.detail}'
        return f'{line}\n       remedy: {self.remedy}' if self.remedy else line


def report_versions() -> str:
    """A table of module, distribution and version; nothing is imported for it."""
    rows = [
        ('mmcovid', '', f'{__version__} in {Path(__file__).resolve().parents[1]}'),
        ('python', '', f'{platform.python_version()} at {sys.executable}'),
        ('platform', '', platform.platform()),
    ]
    for module, names in DISTRIBUTIONS.items():
        for name in names:
            try:
                rows.append((module, name, metadata.version(name)))
                break
            except metadata.PackageNotFoundError:
                continue
        else:
            rows.append((module, '', 'not installed'))
    return '\n'.join(f'{module:<12}{name:<24}{version}' for module, name, version in rows)


def examine_imports() -> list[Finding]:
    """OpenCV first, on which mmcv stands, then the stack and the other libraries."""
    findings = []
    for module in ('cv2', 'pycocotools', 'sklearn', 'SimpleITK', 'pydicom', 'safetensors'):
        problem = check_import(module)
        if problem is not None:
            remedy = INSTALL_OPENCV if module == 'cv2' else problem.remedy
            findings.append(Finding('FAIL', module, problem.what, remedy))
    findings += [
        Finding('FAIL', 'stack', problem.what, problem.remedy) for problem in find_problems()
    ]
    return findings or [Finding('ok', 'imports', 'all libraries can be imported')]


def examine_versions() -> list[Finding]:
    """Warn of a stack that should work, but that mmcovid was not tested on."""
    findings = []
    for module, pin in PINS.items():
        if check_import(module) is None:
            version = import_module(module).__version__
            if not is_tested(module, version):
                findings.append(
                    Finding(
                        'warn',
                        module,
                        f'mmcovid was not tested with {version}',
                        f'if something fails, try the tested one: pip install {pin}',
                    )
                )
    return findings


def examine_torchvision() -> list[Finding]:
    """Warn of a torchvision built for another PyTorch; mmcovid itself needs none."""
    try:
        import_module('torchvision')
    except ModuleNotFoundError:
        return []
    except Exception as error:
        return [
            Finding(
                'warn',
                'torchvision',
                f'does not fit the installed PyTorch ({error})',
                'pip uninstall -y torchvision  (mmcovid does not need it)',
            )
        ]
    return [Finding('ok', 'torchvision', 'fits the installed PyTorch (it is not needed)')]


def run_operators(device: str) -> Finding:
    """Run NMS and RoIAlign of mmcv and compare with results known beforehand."""
    subject = f'operators on {device}'
    try:
        import torch
        from mmcv.ops import nms, roi_align

        boxes = torch.tensor(
            [[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 9.0, 10.0], [20.0, 20.0, 30.0, 30.0]], device=device
        )
        scores = torch.tensor([0.5, 0.9, 0.7], device=device)
        kept = nms(boxes, scores, iou_threshold=0.5)[1].tolist()
        plane = torch.full((1, 1, 8, 8), 3.0, device=device)
        roi = torch.tensor([[0.0, 1.0, 1.0, 5.0, 5.0]], device=device)
        pooled = roi_align(plane, roi, (2, 2), 1.0, 2, 'avg', False)
    except Exception as error:
        return Finding('FAIL', subject, f'{type(error).__name__}: {error}', REBUILD_MMCV)
    if kept != [1, 2] or not torch.allclose(pooled, torch.full_like(pooled, 3.0)):
        return Finding('FAIL', subject, f'wrong results (NMS kept {kept})', REBUILD_MMCV)
    return Finding('ok', subject, 'nms and roi_align give the right results')


def examine_mmcv() -> list[Finding]:
    """Tell whether all of MMCV is there, or the part that ``tools/misc/build_mmcv.py`` builds."""
    if check_import('mmcv') is not None or check_operators() is not None:
        return []
    if import_module('mmcv').__version__.endswith('+mmcovid'):
        has = 'only the operators nms, soft_nms and roi_align, all that our models need'
    else:
        has = 'all operators'
    return [Finding('ok', 'mmcv', f'has {has}')]


def examine_devices() -> list[Finding]:
    """Run the operators on the CPU, and on CUDA if PyTorch sees a device."""
    if check_import('torch') is not None:
        return []
    import torch

    findings = [run_operators('cpu')]
    if torch.cuda.is_available():
        findings.append(
            Finding('ok', 'CUDA', f'{torch.version.cuda} on {torch.cuda.get_device_name(0)}')
        )
        findings.append(run_operators('cuda'))
    elif torch.version.cuda:
        findings.append(
            Finding(
                'warn',
                'CUDA',
                f'PyTorch is built for CUDA {torch.version.cuda} but sees no device; '
                'the CPU is used',
                'check the driver with nvidia-smi',
            )
        )
    else:
        findings.append(Finding('ok', 'CUDA', 'PyTorch is built for the CPU'))
    return findings


def main() -> int:
    """Print the report.

    Returns:
        int: 0 if mmcovid can work here, 1 if not.
    """
    print(report_versions())
    findings = [
        *examine_imports(),
        *examine_versions(),
        *examine_torchvision(),
        *examine_mmcv(),
        *examine_devices(),
    ]
    print('\n'.join(map(str, findings)))
    failed = sum(finding.status == 'FAIL' for finding in findings)
    print(f'{failed} thing(s) to mend, see above' if failed else 'mmcovid can work here')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
