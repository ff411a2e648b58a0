"""The slices that a config reads, for the tools that look at data before a training."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import init_default_scope

from mmcovid.data_tools.leakage.splits import AuditSplit, name_apart
from mmcovid.data_tools.verification import (
    SliceSet,
    broken_set,
    lesion_set,
    slice_set,
    volume_set,
)
from mmcovid.registry import DATASETS

from .files import leaves
from .lesion_dataset import LesionDataset
from .slice_dataset import SliceDataset
from .volume_dataset import VolumeDataset

ROLES = ('train', 'val', 'test')


def audit_splits_of(cfg: Config) -> list[AuditSplit]:
    """The training, validation and test splits of a config, of all its sets.

    A list that serves both validation and test makes one split.

    Raises:
        FileNotFoundError, ValueError: As the datasets raise them.
        TypeError: A dataset does not tell what its slices are.
    """
    found: dict[tuple[bool, str, tuple[str, ...]], tuple[BaseDataset, list[dict], list[str]]] = {}
    for role, leaf in _leaves_of(cfg, lazy=False):
        slices = _slices_of(leaf)
        key = role == 'train', _source_of(leaf), tuple(info['img_path'] for info in slices)
        found.setdefault(key, (leaf, slices, []))[2].append(role)
    return name_apart(
        [
            AuditSplit(
                f'{"+".join(roles)}: {_stem_of(leaf)}', frozenset(roles), _source_of(leaf), slices
            )
            for leaf, slices, roles in found.values()
        ]
    )


def slices_of_role(cfg: Config, role: str) -> list[dict]:
    """Data infos of the slices that a config reads in a role of :data:`ROLES`, of all its sets.

    Raises:
        FileNotFoundError, ValueError: There are none, or as the datasets raise them.
        TypeError: A dataset does not tell what its slices are.
    """
    return [
        info for _, leaf in _leaves_of(cfg, lazy=False, among=(role,)) for info in _slices_of(leaf)
    ]


def slice_sets(cfg: Config) -> list[SliceSet]:
    """All sets of slices that a config's data loaders read, each once.

    Nothing of them is loaded: a dataset that loads raises at the first thing it misses. A dataset
    of another package is a set with one finding.

    Raises:
        ValueError: There are none.
    """
    datasets: dict[tuple[type, str, str], BaseDataset] = {}
    for _, leaf in _leaves_of(cfg, lazy=True):
        folder = (getattr(leaf, 'data_prefix', None) or {}).get('img', '')
        datasets.setdefault((type(leaf), str(getattr(leaf, 'ann_file', '')), folder), leaf)
    return [_slice_set(leaf, folder) for (_, _, folder), leaf in datasets.items()]


def _slice_set(dataset: BaseDataset, folder: str) -> SliceSet:
    if isinstance(dataset, LesionDataset):
        return lesion_set(dataset.ann_file, folder)
    if isinstance(dataset, SliceDataset):
        classes = dataset.metainfo['classes']
        return slice_set(dataset.ann_file, folder, classes, dataset.read_entries)
    title = str(getattr(dataset, 'ann_file', '') or folder)
    if isinstance(dataset, VolumeDataset):
        try:
            return volume_set(title, list(dataset.read_volumes()))
        except (OSError, ValueError) as error:
            return broken_set(title, error)
    return broken_set(
        title,
        ValueError(
            f'{type(dataset).__name__} is no dataset of mmcovid: its files are not looked at'
        ),
    )


def _leaves_of(
    cfg: Config, lazy: bool, among: Sequence[str] = ROLES
) -> Iterator[tuple[str, BaseDataset]]:
    """Role and dataset, for each dataset in the data loaders of a config."""
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    roles = [role for role in among if cfg.get(f'{role}_dataloader')]
    if not roles:
        raise ValueError(
            f'the config has no {", ".join(f"{role}_dataloader" for role in among)} '
            'with a dataset: there is nothing to look at.'
        )
    for role in roles:
        options = dict(cfg[f'{role}_dataloader'].dataset)
        for leaf in leaves(DATASETS.build(_lazily(options) if lazy else options)):
            yield role, leaf


def _lazily(options: dict) -> dict:
    """Options of a dataset that loads nothing, nor does what it wraps."""
    options = dict(options, lazy_init=True)
    if isinstance(options.get('dataset'), dict):
        options['dataset'] = _lazily(options['dataset'])
    if 'datasets' in options:
        options['datasets'] = [_lazily(wrapped) for wrapped in options['datasets']]
    return options


def _slices_of(dataset: BaseDataset) -> list[dict]:
    """Data infos of a dataset, without the masks."""
    if not hasattr(dataset, 'get_data_info'):
        raise TypeError(
            f'{type(dataset).__name__} does not tell what its slices are (it has no '
            'get_data_info), so it cannot be audited.'
        )
    return [
        {key: value for key, value in dataset.get_data_info(index).items() if key != 'instances'}
        for index in range(len(dataset))
    ]


def _source_of(dataset: BaseDataset) -> str:
    return getattr(dataset, 'TASK', type(dataset).__name__)


def _stem_of(dataset: BaseDataset) -> str:
    """What to call a dataset: its annotation files, or its folder."""
    files = dataset.ann_file or dataset.data_prefix.get('img', '')
    return '+'.join(Path(file).stem for file in ([files] if isinstance(files, str) else files))
