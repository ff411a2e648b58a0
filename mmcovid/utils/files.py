"""Files that are written whole or not at all, and tables that others wrote."""

import csv
import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

NAMED_AT_MOST = 10
_BLOCK = 2**20


@contextmanager
def atomic_path(path: str | Path, durable: bool = False) -> Iterator[str]:
    """A temporary name beside ``path``; what is written there becomes ``path`` at the end.

    If the block fails, ``path`` stays as it was. Missing folders are made. The name keeps the
    suffix, by which image writers choose the format.

    Args:
        path (str | Path): File to write.
        durable (bool): Wait until the disk has it, so that not even a power failure leaves half
            of it. Defaults to False.

    Yields:
        str: Name of the file to write instead.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'.{path.stem}.{os.getpid()}.tmp{path.suffix}')
    try:
        yield str(temporary)
        if durable:
            _sync(temporary)
        os.replace(temporary, path)
        if durable:
            _sync(path.parent)  # its new name
    finally:
        temporary.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Wait until a file or a folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def atomic_folder(
    path: str | Path, overwrite: bool = False, workplace: Path | None = None
) -> Iterator[Path]:
    """A temporary folder; it becomes ``path`` at the end.

    If the block fails, ``path`` stays as it was. Missing parent folders are made.

    Args:
        path (str | Path): Folder to write.
        overwrite (bool): Replace a folder that is there. Defaults to False.
        workplace (Path, optional): Where the temporary folder is made, on the file system of
            ``path``. Defaults to None: beside ``path``.

    Yields:
        Path: Folder to write into instead.

    Raises:
        FileExistsError: There is such a file or folder, and it must not be replaced.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise FileExistsError(f'{path}: exists already. Take it away, or overwrite it')
    temporary, old = (
        folder / f'.{path.name}.{os.getpid()}.{kind}'
        for folder, kind in ((workplace or path.parent, 'tmp'), (path.parent, 'old'))
    )
    shutil.rmtree(temporary, ignore_errors=True)  # of a former process of this number
    temporary.mkdir(parents=True)
    try:
        yield temporary
        if path.exists():
            path.rename(old)
        try:
            temporary.rename(path)
        except OSError:
            if old.exists():
                old.rename(path)
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if path.exists():  # or the old one is all that is left
            shutil.rmtree(old, ignore_errors=True)


def to_plain(value: Any) -> Any:
    """Turn dataclasses, tensors, arrays, numpy scalars and paths into what JSON knows.

    What is undefined (nan) becomes ``None``: JSON has no word for it.
    """
    if hasattr(value, 'tolist'):  # tensors too, of a library that is not imported for it
        value = value.tolist()
    if is_dataclass(value):
        value = {
            field.name.removesuffix('_'): getattr(value, field.name) for field in fields(value)
        }
    if isinstance(value, dict):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def write_json(data: Any, path: str | Path, indent: int | None = 2) -> None:
    """Write ``data`` as JSON; a broken run leaves the former file, never half of one.

    Args:
        data (Any): What :func:`to_plain` can turn into JSON.
        path (str | Path): The file; missing folders are made.
        indent (int, optional): As in :func:`json.dumps`.
    """
    write_text(json.dumps(to_plain(data), indent=indent, ensure_ascii=False) + '\n', path)


def write_text(text: str, path: str | Path, durable: bool = False) -> None:
    """Write a text file whole or not at all, in UTF-8; see :func:`atomic_path`.

    Of names of files that are no UTF-8 the bytes are spelt out, in a way that JSON reads back.
    """
    with atomic_path(path, durable) as temporary:
        Path(temporary).write_text(text, encoding='utf-8', errors='backslashreplace')


def sha256(path: str | Path) -> str:
    """Hash of a file's bytes, in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def read_table(
    path: str | Path, what: str = 'CSV file'
) -> tuple[list[str], list[tuple[int, dict[Any, Any]]]]:
    """Read a CSV file, such as a spreadsheet writes it: UTF-8, with or without a mark of it.

    Args:
        path (str | Path): The file; its first line names the columns.
        what (str): What messages call it. Defaults to ``'CSV file'``.

    Returns:
        tuple[list[str], list[tuple[int, dict]]]: The columns, and each row with the number of its
        line. Values that a row lacks are None; those that it has too many are under the key None.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no such file.
    """
    try:
        with open(path, newline='', encoding='utf-8-sig') as file:
            reader = csv.DictReader(file, strict=True)
            columns = list(reader.fieldnames or ())
            return columns, [(reader.line_num, row) for row in reader]
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f'{path}: is no {what} in UTF-8 ({error}). Save it as one.') from error


def name_some(names: Sequence[str]) -> str:
    """Count ``names`` and spell out the first ten: ``'12: a, b, ... and 2 more'``."""
    text = f'{len(names)}: ' + ', '.join(map(str, names[:NAMED_AT_MOST]))
    if len(names) > NAMED_AT_MOST:
        text += f' and {len(names) - NAMED_AT_MOST} more'
    return text
