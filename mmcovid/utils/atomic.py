"""Files that are written whole or not at all."""
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(path: str | Path) -> Iterator[str]:
    """A temporary name beside ``path``; what is written there becomes ``path`` at the end.

    If the block fails, ``path`` stays as it was. Missing folders are made. The name keeps the
    suffix, by which image writers choose the format.

    Args:
        path (str | Path): File to write.

    Yields:
        str: Name of the file to write instead.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'.{path.stem}.{os.getpid()}.tmp{path.suffix}')
    try:
        yield str(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
