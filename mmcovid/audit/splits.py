"""The splits that an audit compares, read by the dataset classes themselves."""
import json
from pathlib import Path
from typing import NamedTuple

from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import init_default_scope

from mmcovid.datasets import LesionDataset, SliceDataset
from mmcovid.datasets.files import leaves
from mmcovid.registry import DATASETS

ROLES = ('train', 'val', 'test')


class AuditSplit(NamedTuple):
    """Slices of one annotation file, and what they are used for."""

    name: str
    roles: frozenset  #: ``{'train'}``, ``{'val', 'test'}`` ...: slices of one role may be alike
    source: str  #: patient ids of one source mean the same patients
    slices: list  #: data infos of the dataset, with ``img_path`` and ``patient_id``


def splits_of_config(cfg: Config) -> list[AuditSplit]:
    """The training, validation and test splits of a config, of all its sets.

    A list that serves both validation and test makes one split.

    Raises:
        FileNotFoundError, ValueError: As the datasets raise them.
        TypeError: A dataset does not tell what its slices are.
    """
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    found = {}
    for role in ROLES:
        if not cfg.get(f'{role}_dataloader'):
            continue
        for leaf in leaves(DATASETS.build(cfg[f'{role}_dataloader'].dataset)):
            slices = _slices_of(leaf)
            key = role == 'train', _source_of(leaf), tuple(info['img_path'] for info in slices)
            found.setdefault(key, (leaf, slices, []))[2].append(role)
    if not found:
        raise ValueError('the config has no train_dataloader, val_dataloader or test_dataloader '
                         'with a dataset: nothing to compare.')
    return _name_apart([
        AuditSplit(f'{"+".join(roles)}: {_stem_of(leaf)}', frozenset(roles), _source_of(leaf),
                   slices) for leaf, slices, roles in found.values()
    ])


def splits_of_files(files: list[str], images: list[str]) -> list[AuditSplit]:
    """One split per annotation file.

    Args:
        files (list[str]): ``FILE`` or ``ROLE=FILE``. A file is a COCO JSON of
            :class:`LesionDataset`, or a list or a JSON of
            :class:`SliceDataset`. Files of one role are not compared; without
            a role each has its own.
        images (list[str]): The folder that the names in a file refer to, for
            each file, or one for all.

    Raises:
        FileNotFoundError, ValueError: A file is missing or cannot be read.
    """
    if len(images) not in (1, len(files)):
        raise ValueError(f'{len(files)} annotation files with {len(images)} image folders: give '
                         '--images once for all, or once for each file, in their order.')
    splits = []
    for entry, folder in zip(files, images * len(files) if len(images) == 1 else images):
        role, _, file = entry.rpartition('=')
        dataset = _open(file, folder)
        name = f'{role}: {Path(file).stem}' if role else Path(file).stem
        splits.append(
            AuditSplit(name, frozenset([role or file]), _source_of(dataset), _slices_of(dataset)))
    return _name_apart(splits)


def _open(file: str, folder: str) -> BaseDataset:
    """The dataset that an annotation file is of."""
    if not Path(file).is_file():
        raise FileNotFoundError(f'{file}: no such annotation file. Correct the path.')
    options = dict(ann_file=file, data_prefix=dict(img=folder), test_mode=True)
    if not file.endswith('.json'):
        return SliceDataset(**options)
    try:
        content = json.loads(Path(file).read_text(encoding='utf-8'))
        if 'categories' in content:
            classes = [category['name'] for category in content['categories']]
            return LesionDataset(**options, metainfo=dict(classes=classes))
        return SliceDataset(**options, metainfo=dict(classes=content['metainfo']['classes']))
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(
            f'{file}: no annotations of lesions or slices ({type(error).__name__}: {error}). '
            'Convert the set again.') from error


def _slices_of(dataset: BaseDataset) -> list[dict]:
    """Data infos of a dataset, without the masks."""
    if not hasattr(dataset, 'get_data_info'):
        raise TypeError(f'{type(dataset).__name__} does not tell what its slices are (it has no '
                        'get_data_info), so it cannot be audited.')
    return [{key: value for key, value in dataset.get_data_info(index).items()
             if key != 'instances'} for index in range(len(dataset))]


def _source_of(dataset: BaseDataset) -> str:
    return getattr(dataset, 'TASK', type(dataset).__name__)


def _stem_of(dataset: BaseDataset) -> str:
    """What to call a dataset: its annotation files, or its folder."""
    files = dataset.ann_file or dataset.data_prefix.get('img', '')
    return '+'.join(Path(file).stem for file in ([files] if isinstance(files, str) else files))


def _name_apart(splits: list[AuditSplit]) -> list[AuditSplit]:
    """Number the splits whose names would be the same."""
    taken, named = {}, []
    for split in splits:
        count = taken[split.name] = taken.get(split.name, 0) + 1
        named.append(split._replace(name=f'{split.name} ({count})') if count > 1 else split)
    return named
