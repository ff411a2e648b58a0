"""The systems of a comparison, and what is known of each."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from mmcovid.utils.files import write_json

from .table import ComparisonRow

if TYPE_CHECKING:
    from mmengine.config import Config

#: File in the folder of a system.
RESULT = 'result.json'


@dataclass(frozen=True)
class System:
    """What is trained and tested: a row of the comparison, or one of its trainings.

    Args:
        name (str): Its name, which no other has.
        config (Path): Its config.
        cfg_options (dict): Entries of the config to change, such as ``{'randomness.seed': 1}``.
        checkpoint_options (dict[str, str]): Entries of the config that are to name the checkpoint
            of another system, with that system's name: the second stage of a two-stage training.
        seed (int, optional): Seed of the training, if it is one of several.
        row (str): What the table calls it; trainings of one row differ in their seeds. Defaults to
            the name.
    """

    name: str
    config: Path
    cfg_options: dict[str, Any] = field(default_factory=dict)
    checkpoint_options: dict[str, str] = field(default_factory=dict)
    seed: int | None = None
    row: str = ''

    def __post_init__(self) -> None:
        object.__setattr__(self, 'row', self.row or self.name)


def read_systems(paths: Sequence[str | Path]) -> list[System]:
    """Read systems from configs and from lists of systems.

    Args:
        paths (Sequence[str | Path]): Configs (``.py``), named by their base name, and YAML files
            (``.yml``, ``.yaml``): lists of mappings with ``name``, ``config`` (relative to the
            file) and, where needed, ``cfg_options`` and ``checkpoint_options``, as in
            :class:`System`.

    Returns:
        list[System]: In the order given.

    Raises:
        ValueError: If a file is missing or cannot be understood, two systems have one name, or a
            system needs one that does not stand above it.
    """
    systems: list[System] = []
    for path in map(Path, paths):
        if not path.is_file():
            raise ValueError(f'there is no file {path}: give configs (.py) or lists (.yml)')
        if path.suffix == '.py':
            systems.append(System(path.stem, path))
        elif path.suffix in ('.yml', '.yaml'):
            systems += _read_list(path)
        else:
            raise ValueError(f'{path} is neither a config (.py) nor a list of systems (.yml)')
    above: list[str] = []
    for system in systems:
        if system.name in above:
            raise ValueError(f'two systems are named {system.name!r}: rename one')
        for name in system.checkpoint_options.values():
            if name not in above:
                raise ValueError(
                    f'{system.name} needs the checkpoint of {name!r}, which must '
                    f'stand above it, where there is: {", ".join(above) or "nothing"}'
                )
        above.append(system.name)
    return systems


def with_seeds(systems: Sequence[System], seeds: Sequence[int]) -> list[System]:
    """Several trainings of each system, one for each seed.

    Args:
        systems (Sequence[System]): What to train.
        seeds (Sequence[int]): Seeds. A second stage takes the first stage of its own seed.

    Returns:
        list[System]: All of the first seed, then all of the second, and so on.

    Raises:
        ValueError: If a seed is there twice, or a system sets one itself.
    """
    if len(set(seeds)) < len(seeds):
        raise ValueError(f'seeds {list(seeds)}: give each once')
    own = [system.name for system in systems if 'randomness.seed' in system.cfg_options]
    if own:
        raise ValueError(
            f'{", ".join(own)}: sets randomness.seed itself; leave that or --seeds out'
        )

    def name_of(name: str, seed: int) -> str:
        return f'{name}, seed {seed}'

    return [
        replace(
            system,
            name=name_of(system.name, seed),
            row=system.name,
            seed=seed,
            cfg_options={**system.cfg_options, 'randomness.seed': seed},
            checkpoint_options={
                option: name_of(name, seed) for option, name in system.checkpoint_options.items()
            },
        )
        for seed in seeds
        for system in systems
    ]


def _read_list(path: Path) -> Iterator[System]:
    try:
        entries = yaml.safe_load(path.read_text(encoding='utf-8'))
    except yaml.YAMLError as error:
        raise ValueError(f'{path} is no YAML file: {error}') from error
    if not isinstance(entries, list):
        raise ValueError(f'{path} must be a list of systems, each with a name and a config')
    for entry in entries:
        try:
            options = {key: entry[key] for key in entry if key not in ('name', 'config')}
            if not options.keys() <= {'cfg_options', 'checkpoint_options'}:
                raise TypeError(f'unknown entries in {list(options)}')
            system = System(str(entry['name']), path.parent / entry['config'], **options)
        except (KeyError, TypeError) as error:
            raise ValueError(
                f'{path}: {entry!r} must have a name and a config, and may have '
                'cfg_options and checkpoint_options'
            ) from error
        for options in (system.cfg_options, system.checkpoint_options):
            if not isinstance(options, dict):
                raise ValueError(
                    f'{path}: {system.name}: write options as "key: value", not {options!r}'
                )
        if not system.config.is_file():
            raise ValueError(f'{path}: {system.name}: there is no config {system.config}')
        yield system


@dataclass
class SystemResult:
    """What is known of a system so far.

    Args:
        train_seconds (float): Wall time of the training, of all its parts if it was resumed.
        resumed (bool): Whether the training was interrupted: iterations after the last
            checkpoint were then done twice.
        checkpoint (str | None): Name of the last checkpoint of a complete training.
        iterations (int | None): Iterations of that checkpoint.
        parameters (int | None): Elements of the model's parameters, frozen ones included.
        metrics (dict[str, Any] | None): The figures of a complete test.
        error (str | None): Why it failed, in one line.
    """

    train_seconds: float = 0.0
    resumed: bool = False
    checkpoint: str | None = None
    iterations: int | None = None
    parameters: int | None = None
    metrics: dict[str, Any] | None = None
    error: str | None = None

    @property
    def status(self) -> str:
        """One of done, failed (and why), unfinished, not run."""
        if self.error:
            return f'failed: {self.error}'
        if self.metrics is not None:
            return 'done, resumed' if self.resumed else 'done'
        return 'unfinished' if self.train_seconds else 'not run'

    def figures(self) -> dict[str, Any]:
        """The figures of the table; those of the training only once it is complete."""
        figures = dict(self.metrics or {})
        if self.checkpoint:
            for key in ('parameters', 'iterations', 'train_seconds'):
                figures[key] = getattr(self, key)
        return figures

    @classmethod
    def read(cls, file: Path) -> 'SystemResult':
        """What is known of a system, by the file in its folder, if there is one."""
        return cls(**json.loads(file.read_text(encoding='utf-8'))) if file.is_file() else cls()


@dataclass
class Job:
    """A system with its resolved config, its folder and its result."""

    system: System
    cfg: 'Config'
    work_dir: Path
    result: SystemResult

    @property
    def config(self) -> Path:
        """Path of the resolved config, which the scripts are given."""
        return self.work_dir / self.system.config.name

    @property
    def last_checkpoint(self) -> Path | None:
        """The last checkpoint that was written; a broken run may leave none."""
        pointer = self.work_dir / 'last_checkpoint'
        if not pointer.is_file():
            return None
        # by name, so that the folder can be moved
        checkpoint = self.work_dir / Path(pointer.read_text().strip()).name
        return checkpoint if checkpoint.is_file() else None

    @property
    def trained(self) -> Path | None:
        """The checkpoint of the complete training, if it is still there."""
        checkpoint = self.work_dir / (self.result.checkpoint or 'none')
        return checkpoint if checkpoint.is_file() else None

    @property
    def predictions(self) -> Path:
        """Where the test dumps the predictions."""
        return self.work_dir / 'test' / 'predictions.pkl'

    @property
    def done(self) -> bool:
        """Whether it was trained and tested."""
        return self.result.metrics is not None

    @property
    def next_step(self) -> str:
        """What is left to do."""
        if self.done:
            return 'nothing, it is done'
        if self.trained:
            return 'test'
        return 'resume and test' if self.last_checkpoint else 'train and test'

    @property
    def row(self) -> ComparisonRow:
        """What the table has of it."""
        return ComparisonRow(
            self.system.row, self.result.status, self.system.seed, self.result.figures()
        )

    def save(self) -> None:
        """Write the result into the folder."""
        write_json(self.result, self.work_dir / RESULT)
