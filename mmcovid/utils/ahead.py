"""Work ahead of a loop."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar('T')


def ahead(items: Iterable[T], number: int = 2) -> Iterator[T]:
    """Make items in a thread of its own, while those before them are used.

    Args:
        items (Iterable): What makes an item spends its time in libraries that let other threads
            run: reading, decoding, predicting.
        number (int): Most items to have ready. Defaults to 2.

    Yields:
        One item after the other. An error is raised where it came up.
    """
    iterator, end = iter(items), object()
    with ThreadPoolExecutor(1) as pool:
        waiting = deque(pool.submit(next, iterator, end) for _ in range(number))
        while (item := waiting.popleft().result()) is not end:
            waiting.append(pool.submit(next, iterator, end))
            yield item  # type: ignore[misc]  # only the end is of another type
