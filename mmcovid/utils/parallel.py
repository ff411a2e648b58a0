"""Do one thing to many files."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from rich.progress import track


def map_files(
    function: Callable,
    items: Sequence,
    description: str,
    workers: int = 1,
    show_progress: bool = True,
) -> list[Any]:
    """Results of ``function`` for each item, in their order.

    Threads do: image libraries work outside of Python's lock, and reading
    from a network drive is waiting.

    Args:
        function (Callable): Takes one item. What it raises ends the work.
        items (Sequence): What to work on.
        description (str): Title of the progress bar.
        workers (int): Number of threads. Defaults to 1.
        show_progress (bool): Show a progress bar. Defaults to True.

    Raises:
        ValueError: ``workers`` is less than 1.
    """
    if workers < 1:
        raise ValueError(f'the number of workers must be at least 1, not {workers}.')
    with ThreadPoolExecutor(workers) as pool:
        results = pool.map(function, items) if workers > 1 else map(function, items)
        return list(track(results, description, total=len(items), disable=not show_progress))
