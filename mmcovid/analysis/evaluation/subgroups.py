"""Groups of slices by a column of a metadata table."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmcovid.utils.files import name_some, read_table

KEYS = ('img_id', 'scan_id', 'patient_id')
UNLISTED = '(not in the table)'
EMPTY = '(empty)'
#: A column of numbers with more distinct values than this is cut at its quartiles.
MOST_GROUPS = 6


def read_metadata(path: str | Path, columns: Sequence[str]) -> tuple[str, dict[str, dict]]:
    """Read a metadata table.

    Args:
        path (str | Path): CSV file with a header. The first of the columns ``img_id``,
            ``scan_id`` and ``patient_id`` that it has says what a row is about.
        columns (Sequence[str]): Columns that are wanted.

    Returns:
        tuple[str, dict[str, dict]]: Name of the key column, and the rows by key.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it lacks a column, or two of its rows contradict each other.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'{path}: no such metadata table. Correct --metadata')
    header, lines = read_table(path)
    key = next((name for name in KEYS if name in header), None)
    if key is None:
        raise ValueError(
            f'{path}: its header {header} has none of {", ".join(KEYS)}. Add one '
            'of these columns, with the values of the predictions'
        )
    lacking = [name for name in columns if name not in header]
    if lacking:
        raise ValueError(f'{path} has no column {name_some(lacking)}; it has {header}')
    rows: dict[str, dict] = {}
    for number, row in lines:
        known = rows.setdefault(row[key], row)
        differing = [name for name in columns if known[name] != row[name]]
        if differing:
            raise ValueError(
                f'{path}, line {number}: {key} {row[key]} had another '
                f'{differing[0]} before. Keep one of the rows'
            )
    return key, rows


def group_slices(
    entries: Sequence[dict], key: str, rows: dict[str, dict], column: str
) -> np.ndarray:
    """The group of every slice.

    Args:
        entries (Sequence[dict]): n dumped slices.
        key (str): What a row is about, one of :data:`KEYS`.
        rows (dict[str, dict]): The metadata by key.
        column (str): Column to group by. Numbers of more than six distinct values are cut at the
            quartiles of the listed slices.

    Returns:
        np.ndarray: Names of the groups, (n,) str.

    Raises:
        ValueError: If no slice is in the table.
    """
    found = [rows.get(str(entry.get(key))) for entry in entries]
    if not any(found):
        example = entries[0].get(key)
        raise ValueError(
            f'no slice of the predictions is in the metadata: its {key} must be such as {example!r}'
        )
    values = [None if row is None else row[column].strip() for row in found]
    bins = _quartiles([value for value in values if value])
    return np.array(
        [
            UNLISTED if value is None else EMPTY if not value else bins.get(value, value)
            for value in values
        ]
    )


def _quartiles(values: Sequence[str]) -> dict[str, str]:
    """Name of the quartile of each value, if they are many numbers."""
    distinct = set(values)
    try:
        numbers = np.array([float(value) for value in values])
    except ValueError:
        return {}
    if len(distinct) <= MOST_GROUPS or not np.isfinite(numbers).all():
        return {}
    edges = np.unique(np.percentile(numbers, (0, 25, 50, 75, 100)))
    names = [f'{low:g} to below {high:g}' for low, high in zip(edges[:-1], edges[1:])]
    names[-1] = f'{edges[-2]:g} to {edges[-1]:g}'
    places = {
        value: int(np.searchsorted(edges, float(value), side='right')) - 1 for value in distinct
    }
    return {value: names[min(place, len(names) - 1)] for value, place in places.items()}
