"""Files that are written whole or not at all."""
import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch


def to_plain(value: Any) -> Any:
    """Turn tensors, arrays, numpy scalars and paths into what JSON knows.

    What is undefined (nan) becomes ``None``: JSON has no word for it.
    """
    if isinstance(value, (torch.Tensor, np.ndarray, np.generic)):
        value = value.tolist()
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
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The process id keeps two processes that write the same file apart.
    temporary = path.with_name(f'.{path.name}.{os.getpid()}.tmp')
    try:
        temporary.write_text(
            json.dumps(to_plain(data), indent=indent, ensure_ascii=False) + '\n', encoding='utf-8')
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
