"""What is one scan: a volume, a DICOM series, or the pictures of a folder."""

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from mmcovid.ct import (
    InputKind,
    SlicePath,
    find_volumes,
    is_picture,
    kind_of,
    list_series,
    volume_suffix,
)
from mmcovid.ct.inputs import name_outputs
from mmcovid.results import Failure
from mmcovid.utils.escape import file_name

from .addresses import Address, check_no_secrets, is_address
from .shown import without_folders


class Scan(NamedTuple):
    """A scan to predict."""

    path: str  #: volume, folder or file of DICOM (``folder#UID`` where it has several series)
    pictures: tuple[str, ...] = ()  #: of a scan that is no volume, in its order
    address: str | None = None  #: in an archive, of what was retrieved to ``path``

    @property
    def source(self) -> str:
        """Where it is from: its address in an archive, or its path."""
        return self.address or self.path


@contextmanager
def at_hand(scan: Scan) -> Iterator[Scan]:
    """A scan on this disk: that of an archive is retrieved, and goes with the block.

    Args:
        scan (Scan): Of :func:`find_scans`.

    Yields:
        Scan: The same, to be read.

    Raises:
        ValueError: An archive does not answer as it should, or the block raises an error like it.
    """
    if not is_address(scan.path):
        yield scan
        return
    from .archive import Archive  # here: it needs packages that are optional

    address = Address.parse(scan.path)
    with TemporaryDirectory(prefix='mmcovid-') as temporary:
        folder = Path(temporary, str(address.series))
        folder.mkdir()
        try:
            Archive(address).retrieve(folder)
            yield Scan(str(folder), address=scan.path)
        except (OSError, ValueError) as error:  # the folder will be gone
            raise ValueError(without_folders(str(error), folder)) from error


def find_scans(inputs: Sequence[str | os.PathLike]) -> tuple[dict[str, Scan], list[Failure]]:
    """The scans that inputs stand for.

    Args:
        inputs (Sequence[str | PathLike]): Each a picture, a DICOM file, a volume, a folder of
            pictures (one scan), of DICOM files (one scan for each series), or of volumes and
            DICOM folders (one scan each); or the address of a study or series in an archive (one
            scan for each CT series).

    Returns:
        tuple[dict[str, Scan], list[Failure]]: Scans by a name that is theirs alone, and the
        inputs that are none. What is given twice is one scan.

    Raises:
        ValueError: An address has a user, a password or a query in it.
    """
    scans, failures = [], []
    queue = list(dict.fromkeys(os.fspath(item) for item in inputs))
    check_no_secrets(queue)
    for item in queue:
        try:
            found = _scans_of(item)
        except (OSError, ValueError) as error:
            failures.append(Failure(item, str(error)))
        else:
            scans += [scan for scan in found if isinstance(scan, Scan)]
            queue += [path for path in found if not isinstance(path, Scan)]
    return _name(list(dict.fromkeys(scans))), failures


def _scans_of(item: str) -> Sequence[Scan | str]:
    """The scans of an input, or the volumes and DICOM folders in it."""
    if is_address(item):
        address = Address.parse(item)
        from .archive import Archive  # here: it needs packages that are optional

        return [Scan(str(series)) for series in Archive(address).find_series()]
    place = SlicePath.parse(item)
    if not place.exists():
        raise FileNotFoundError(f'{place.path}: no such file or folder. Correct its path.')
    if place.index is not None:
        raise ValueError(
            f'{item}: is one slice. Give the whole scan, {place._replace(index=None)}.'
        )
    kind = kind_of(place)
    if kind is InputKind.PICTURE:
        return [Scan(str(place), (str(place),))]
    if kind is InputKind.FOLDER:
        return _scans_in(place.path)
    if kind is InputKind.SERIES and not place.series_uid:
        series = list_series(place.path)
        return [
            Scan(str(place._replace(series_uid=one.uid if len(series) > 1 else None)))
            for one in series
        ]
    return [Scan(str(place))]


def _scans_in(folder: str) -> Sequence[Scan | str]:
    """The pictures of a folder, as one scan, or the volumes and DICOM folders in it."""
    volumes, pictures = find_volumes(folder), _pictures_in(folder)
    if volumes and pictures:
        raise ValueError(
            f'{folder}: holds {len(pictures)} pictures beside {len(volumes)} volumes '
            'or DICOM folders. Give the volumes one by one, and the pictures in a '
            'folder of their own.'
        )
    if not volumes and not pictures:
        raise FileNotFoundError(
            f'{folder}: holds no picture, volume or DICOM file; sub-folders '
            'with pictures are scans of their own: give each of them.'
        )
    return [Scan(folder, tuple(pictures))] if pictures else volumes


def _pictures_in(folder: str) -> list[str]:
    """Pictures directly in a folder, by name, numbers in it by value: 2.png before 10.png."""
    found = [
        str(path)
        for path in Path(folder).iterdir()
        if path.is_file() and not path.name.startswith('.') and is_picture(path)
    ]
    return sorted(found, key=_by_number)


def _by_number(path: str) -> tuple:
    parts = re.split(r'(\d+)', os.path.basename(path))
    return [(int(part), '') if part.isdecimal() else (-1, part) for part in parts], path


def _name(scans: list[Scan]) -> dict[str, Scan]:
    """A folder name for each scan: that of its file or folder, with those above where need be."""
    files = {scan.path: _stem(scan.path) for scan in scans}
    if len(set(files.values())) < len(files):  # scan.nii beside scan.nrrd
        files = {path: path.replace('#', '_') for path in files}
    # a suffix to be cut off, so that dots in names stay
    names = name_outputs([f'{file}.scan' for file in files.values()])
    flat = [
        names[f'{files[scan.path]}.scan'].removesuffix('.scan').replace(os.sep, '__')
        for scan in scans
    ]
    seen: Counter[str] = Counter()
    named: dict[str, Scan] = {}
    for name, scan in zip(map(file_name, flat), scans):
        while name in named:
            seen[name] += 1
            name = f'{name}-{seen[name] + 1}'
        named[name] = scan
    return named


def _stem(path: str) -> str:
    """A path without what makes it one of a volume or picture, whole for a folder."""
    if is_address(path):
        return path
    place = SlicePath.parse(path)
    uid = f'_{place.series_uid}' if place.series_uid else ''
    if os.path.isdir(place.path):
        return os.path.abspath(place.path) + uid
    suffix = volume_suffix(place.path) or Path(place.path).suffix
    return place.path[: len(place.path) - len(suffix)]
