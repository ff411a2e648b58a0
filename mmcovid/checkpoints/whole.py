"""Checkpoints that are whole: written so, and told from others."""

import math
import re
import zipfile
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

from mmcovid.utils.errors import TrainingError
from mmcovid.utils.files import atomic_path, name_some

#: Name of the file that MMEngine writes the path of the last checkpoint to.
POINTER = 'last_checkpoint'
#: Name of :class:`WholeFileBackend` in ``backend_args``.
BACKEND = 'mmcovid.whole'


class WholeFileBackend(LocalBackend):
    """MMEngine's backend of local files, whose files are written whole or not at all."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes; a broken run or a full disk leaves the former file."""
        with atomic_path(filepath, durable=True) as temporary:
            Path(temporary).write_bytes(obj)


register_backend(BACKEND, WholeFileBackend, force=True)


def is_whole(path: str | Path) -> bool:
    """Whether a file that :func:`torch.save` wrote is complete and undamaged.

    It is a zip archive: its directory stands at the end, with a checksum of each tensor.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except Exception:  # what a damaged archive raises is of many kinds
        return False


def numbered_checkpoints(folder: Path, template: str, below: float = math.inf) -> list[Path]:
    """Checkpoints of a folder by their numbers, the highest first.

    Args:
        folder (Path): The folder.
        template (str): Their names, such as ``'iter_{}.pth'``.
        below (float): Only those of a smaller number. Defaults to infinity.
    """
    name = re.compile(re.escape(template).replace(r'\{\}', r'(\d+)'))
    matches = ((name.fullmatch(path.name), path) for path in folder.iterdir())
    found = {int(match[1]): path for match, path in matches if match}
    return [found[number] for number in sorted(found, reverse=True) if number < below]


def find_whole(work_dir: Path, template: str) -> tuple[Path | None, list[Path]]:
    """The checkpoint that a training can be resumed from.

    It is the one that ``last_checkpoint`` names or, if that is damaged or gone, the one with the
    highest number that is whole.

    Args:
        work_dir (Path): Folder of the training.
        template (str): Names of checkpoints, such as ``'iter_{}.pth'``.

    Returns:
        tuple[Path | None, list[Path]]: The checkpoint, None if there is none at all; and those
        that were passed over.

    Raises:
        TrainingError: There are checkpoints, and none is whole.
    """
    candidates = [*_last(work_dir), *numbered_checkpoints(work_dir, template)]
    damaged: list[Path] = []
    for path in dict.fromkeys(candidates):
        if is_whole(path):
            return path, damaged
        damaged.append(path)
    if damaged:
        raise TrainingError(
            f'{work_dir}: no checkpoint is whole, {name_some([path.name for path in damaged])}. '
            f'Take them and {POINTER} away, and begin anew.'
        )
    return None, damaged


def _last(work_dir: Path) -> list[Path]:
    """What ``last_checkpoint`` names, if it names something."""
    pointer = work_dir / POINTER
    text = pointer.read_text(encoding='utf-8').strip() if pointer.is_file() else ''
    if not text:
        return []
    # by its name, too: the folder may have been moved, or the command is given elsewhere
    moved = work_dir / Path(text).name
    return [moved if moved.is_file() and not Path(text).is_file() else Path(text)]
