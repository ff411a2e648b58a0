"""The inputs of a run of the inferencer, and what their outputs are called."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from mmcovid.ct import InputKind, SlicePath, kind_of
from mmcovid.ct.inputs import images_in, name_outputs
from mmcovid.ct.slices import slices_of
from mmcovid.results import Failure

Input = str | os.PathLike | np.ndarray


class RunInputs(list):
    """The slices and arrays of a run, which MMDetection hands on from step to step.

    Args:
        items (Iterable[str | np.ndarray]): The slices and arrays.
        names (Iterable[str]): For each, the name of its outputs without suffix.
    """

    def __init__(self, items: Iterable[str | np.ndarray], names: Iterable[str]) -> None:
        super().__init__(items)
        self.names = tuple(names)
        self.failures: dict[int, Failure] = {}  #: by place, of those that could not be read so far

    @property
    def names_of_readable(self) -> list[str]:
        """Names of those that gave a prediction."""
        return [name for i, name in enumerate(self.names) if i not in self.failures]


class Sized:
    """An iterator that knows its length."""

    def __init__(self, items: Iterable, length: int) -> None:
        self._items, self._length = items, length

    def __iter__(self) -> Iterator:
        return iter(self._items)

    def __len__(self) -> int:
        return self._length


def list_inputs(inputs: Input | Sequence[Input]) -> list[str | np.ndarray]:
    """Slices and arrays: folders replaced by the images in them, volumes by their slices.

    Raises:
        FileNotFoundError: A folder holds no image nor volume.
    """
    slices: list[str | np.ndarray] = []
    for given in [inputs] if isinstance(inputs, (str, os.PathLike, np.ndarray)) else inputs:
        item = os.fspath(given) if isinstance(given, os.PathLike) else given
        if not isinstance(item, str):
            slices.append(item)
        elif kind_of(item) is InputKind.FOLDER:
            slices += [path for file in images_in(item) for path in slices_of(file)]
        else:
            slices += slices_of(item)
    return slices


def name_inputs(items: Sequence[str | np.ndarray], first_number: int) -> list[str]:
    """For each input, the name of its outputs without suffix.

    Args:
        items (Sequence[str | np.ndarray]): Slices, which go by their files, and arrays, which are
            numbered.
        first_number (int): Number of the first array.
    """
    files = {item: SlicePath.parse(item).as_file() for item in items if isinstance(item, str)}
    if len(set(files.values())) < len(files):  # scan_000.nrrd beside the slices of scan.nrrd
        files = {item: item for item in files}
    name_of, number, names = name_outputs(list(files.values())), first_number, []
    for item in items:
        if isinstance(item, str):
            names.append(name_of[files[item]])
        else:
            names.append(f'{number:08d}')
            number += 1
    return names


def json_path(name: str) -> Path:
    """Where the prediction of this name is, below the folder of outputs."""
    return Path('preds', f'{name}.json')
