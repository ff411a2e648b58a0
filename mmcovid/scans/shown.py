"""Paths as outputs tell them: without the folders, which may tell who a patient is."""

import hashlib
import os
import re
from collections.abc import Sequence

from mmcovid.ct.inputs import name_outputs
from mmcovid.results import Failure

from .addresses import is_address


def without_folders(text: str, *paths: str | os.PathLike) -> str:
    """Take the folders that files lie in out of a text.

    >>> without_folders('/home/doe/scan.nii#001: truncated', '/home/doe/scan.nii')
    'scan.nii#001: truncated'

    Args:
        text (str): A path, or a message.
        *paths (str | PathLike): Files, or folders, as the text may have them.
    """
    folders = {
        os.path.join(os.path.dirname(each), '')
        for path in paths
        for each in (os.fspath(path), os.path.abspath(path))
    }
    known = sorted(map(re.escape, folders - {'', os.sep}), key=len, reverse=True)
    return re.sub(rf'(?<![\w./-])({"|".join(known)})', '', text) if known else text


def without_their_folders(failures: Sequence[Failure]) -> list[Failure]:
    """Inputs that are no scans, by their names, or as much of their paths as tells them apart."""
    names = name_outputs([f'{failure.input}.input' for failure in failures])
    return [
        Failure(names[f'{failure.input}.input'], without_folders(failure.reason, failure.input))
        for failure in failures
    ]


def path_hash(path: str) -> str:
    """What a path or address is known by where it is not told, in hexadecimal digits."""
    known = path if is_address(path) else os.path.abspath(path)
    return hashlib.sha256(os.fsencode(known)).hexdigest()
