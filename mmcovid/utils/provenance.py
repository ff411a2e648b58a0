"""What a result came from: the config, the code, the software."""

import hashlib
import json
import platform
import subprocess
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from mmcovid.version import __version__

if TYPE_CHECKING:
    from mmengine.config import Config

#: Where a run writes and starts from is not what the config is.
_OF_THE_RUN = ('work_dir', 'load_from', 'resume', 'launcher')


def config_hash(cfg: 'Config') -> str:
    """SHA-256 of a config with all that it inherits, in hexadecimal digits.

    It does not depend on the order of the keys, nor on ``work_dir``, ``load_from``, ``resume``
    and ``launcher``.
    """
    values = {key: value for key, value in cfg.to_dict().items() if key not in _OF_THE_RUN}
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def now() -> str:
    """The time as records write it, in UTC."""
    return datetime.now(timezone.utc).isoformat(timespec='seconds')


def git_state() -> dict | None:
    """Commit of the clone that mmcovid runs from, and whether its tracked files were changed.

    Returns:
        dict | None: ``commit`` and ``clean``; None if it is no clone, or without git.
    """
    root = Path(__file__).resolve().parents[2]
    if not (root / '.git').exists():
        return None

    def git(*args: str) -> str:
        return subprocess.run(
            ['git', '-C', str(root), *args], capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()

    try:
        return dict(
            commit=git('rev-parse', 'HEAD'),
            clean=not git('status', '--porcelain', '--untracked-files=no'),
        )
    except (OSError, subprocess.SubprocessError):
        return None


def software(packages: Sequence[str]) -> dict[str, str]:
    """Versions of mmcovid, Python and those of the packages that are installed, by name."""
    found = dict(mmcovid=__version__, Python=platform.python_version())
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
