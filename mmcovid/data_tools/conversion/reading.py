"""Read all files of a set, or refuse the set and count those that cannot be used."""

from collections.abc import Callable, Sequence
from typing import Any

from mmcovid.results import Failure
from mmcovid.utils.files import name_some
from mmcovid.utils.parallel import map_files


def read_slices(
    read: Callable,
    items: Sequence,
    description: str,
    workers: int,
    show_progress: bool,
    remedy: str,
) -> list[Any]:
    """Results of ``read`` for each slice, in their order.

    Args:
        read (Callable): Takes one item; gives a :class:`~mmcovid.results.Failure` if it is bad.
        items (Sequence): What to read.
        description (str): Title of the progress bar.
        workers (int): Number of threads.
        show_progress (bool): Show a progress bar.
        remedy (str): What to do about bad slices: a sentence, for the error.

    Raises:
        ValueError: Slices cannot be used; all are counted, and some named.
    """
    results = map_files(read, items, description, workers, show_progress)
    problems = [
        f'{result.input}: {result.reason}' for result in results if isinstance(result, Failure)
    ]
    if problems:
        raise ValueError(f'slices that cannot be used, {name_some(problems)}. {remedy}')
    return results
