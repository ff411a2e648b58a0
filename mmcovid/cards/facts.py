"""What a model card says of model, data, software and hardware."""

import os
import platform
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.dist import get_world_size
from torch import nn

from mmcovid.data_tools.conversion import read_card
from mmcovid.data_tools.slice_names import UNKNOWN
from mmcovid.datasets.files import leaves
from mmcovid.utils.files import sha256
from mmcovid.utils.provenance import git_state, software

from .schema import SetFacts

#: By their import names, which the onedl-* and the upstream distributions share.
STACK = ('torch', 'mmcv', 'mmengine', 'mmdet')
PACKAGES = ('numpy', 'opencv-python', 'pycocotools', 'scikit-learn', 'safetensors')


def model_facts(model: nn.Module) -> dict:
    """Type of a model, its parts with their types, and the numbers of parameters."""
    return dict(
        detector=type(model).__name__,
        parameters=_count(model.parameters()),
        trainable=_count(p for p in model.parameters() if p.requires_grad),
        parts={
            name: dict(type=type(part).__name__, parameters=_count(part.parameters()))
            for name, part in model.named_children()
        },
    )


def initial_weights(cfg: Config) -> list[dict]:
    """What the weights of a new training begin as: files and names, in the order of loading."""
    sources = [
        (part, options['init_cfg'].get('checkpoint'))
        for part, options in cfg.model.items()
        if isinstance(options, dict) and isinstance(options.get('init_cfg'), dict)
    ]
    sources += [('stage 1', cfg.model.get('stage1')), ('model', cfg.get('load_from'))]
    return [
        dict(
            of=part,
            source=Path(source).name if os.path.isfile(source) else source,
            sha256=sha256(source) if os.path.isfile(source) else None,
        )
        for part, source in sources
        if source
    ]


def data_facts(dataset) -> list[SetFacts]:
    """One entry for each set in a dataset, see :func:`set_facts`."""
    return [set_facts(leaf) for leaf in leaves(dataset)]


def set_facts(dataset: BaseDataset) -> SetFacts:
    """Annotation files of a set with their hashes and data cards, and what is in it.

    Files are named as below ``data_root``, so that no folder of this machine is told. What is in
    the set is counted only if it was loaded.
    """
    files = getattr(dataset, 'ann_file', None) or []
    files = [files] if isinstance(files, str) else files
    folder = (getattr(dataset, 'data_prefix', None) or {}).get('img')
    facts = SetFacts(
        dataset=type(dataset).__name__,
        task=getattr(dataset, 'TASK', None),
        images=_below(folder, dataset.data_root) if folder else None,
        annotations=[_annotation_facts(Path(file), dataset.data_root) for file in files],
        skip_list=getattr(dataset, 'skip_list', '') or None,
        per_class=getattr(dataset, 'per_class', None),
    )
    if getattr(dataset, '_fully_initialized', True):
        facts.update(_contents(dataset))
    return facts


def software_facts() -> dict:
    """Versions of the stack by import name, of the libraries, and the commit of a clone."""
    versions = {name: import_module(name).__version__ for name in STACK}
    return dict(software(PACKAGES), **versions, CUDA=torch.version.cuda, git=git_state())


def hardware_facts() -> dict:
    """Device of this process, number of processes, and CPU."""
    device = 'CPU'
    if torch.cuda.is_available():
        device = torch.cuda.get_device_name()
    return dict(
        device=device,
        processes=get_world_size(),
        cpu=_cpu_name(),
        cpu_cores=os.cpu_count(),
        threads=torch.get_num_threads(),
    )


def _annotation_facts(file: Path, root: str | None) -> dict[str, Any]:
    facts: dict[str, Any] = dict(file=_below(file, root), sha256=sha256(file), data_card=None)
    card = read_card(file.parent)
    if card and file.stem in card.get('splits', {}):
        split = card['splits'][file.stem]
        facts['data_card'] = dict(
            {key: value for key, value in card.items() if key != 'splits'},
            split=split,
            as_converted=split.get('sha256') == facts['sha256'],
        )
    return facts


def _below(path: str | Path, root: str | None) -> str:
    """A path as seen from a folder, or its name if it is elsewhere."""
    inside = os.path.relpath(path, root) if root else '..'
    return Path(path).name if inside.startswith('..') else Path(inside).as_posix()


def _contents(dataset: BaseDataset) -> SetFacts:
    """Slices and patients of a set, in all and by class."""
    facts = SetFacts(slices=len(dataset))
    if not isinstance(dataset, BaseDataset):
        return facts
    lesions = list(dataset.metainfo.get('classes', ()))
    images = list(dataset.metainfo.get('image_classes', lesions))
    classes: dict[str, dict[str, Any]] = {}
    patients, unknown = set(), 0
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        patient = info.get('patient_id', UNKNOWN)
        unknown += patient == UNKNOWN
        patients.add(patient)
        shown = [lesions[each['bbox_label']] for each in info.get('instances', ())]
        if 'gt_label' in info:
            shown.append(images[info['gt_label']])
        for name in set(shown):
            counts = classes.setdefault(name, dict(slices=0, patients=set(), instances=0))
            counts['slices'] += 1
            counts['patients'].add(patient)
            counts['instances'] += shown.count(name)
    for counts in classes.values():
        counts['patients'] = len(counts['patients'] - {UNKNOWN})
        if getattr(dataset, 'TASK', None) != 'seg':
            del counts['instances']
    facts.update(
        SetFacts(
            patients=len(patients - {UNKNOWN}),
            slices_of_unknown_patients=unknown,
            classes=dict(
                sorted(classes.items(), key=lambda item: (lesions + images).index(item[0]))
            ),
        )
    )
    return facts


def _count(parameters: Iterable[nn.Parameter]) -> int:
    return sum(p.numel() for p in parameters)


def _cpu_name() -> str:
    try:
        lines = Path('/proc/cpuinfo').read_text(encoding='utf-8').splitlines()
    except OSError:
        lines = []
    names = [line.partition(':')[2].strip() for line in lines if line.startswith('model name')]
    return names[0] if names else platform.processor() or platform.machine()
