"""Checkpoints as safetensors: weights and text, read without any pickle.

``import mmcovid`` has MMEngine load them wherever a checkpoint is named: ``init_detector``,
inferencers, ``load_from``, ``init_cfg=dict(type='Pretrained', ...)``.
"""

import json
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch

from mmcovid.utils.files import name_some, to_plain

SUFFIX = '.safetensors'
#: 2 has the config as values, 1 had it as a program.
SCHEMA_VERSION = 2
_KEYS = {'cfg': 'config', 'dataset_meta': 'dataset_meta', 'card': 'card'}


def register_safetensors() -> None:
    """Have MMEngine load files that end in ``.safetensors``."""
    # not above: MMEngine's module calls this one as soon as it is loaded
    from mmengine.runner.checkpoint import CheckpointLoader

    CheckpointLoader.register_scheme(rf'.*\{SUFFIX}$', load_from_safetensors, force=True)


def load_from_safetensors(
    filename: str, map_location: str | torch.device | Callable | None = None
) -> dict:
    """Load a checkpoint; a file of another project is a plain state dict.

    Args:
        filename (str): The file.
        map_location (str | torch.device, optional): Device of the weights. Defaults to None, the
            CPU, as for what only :func:`torch.load` understands.

    Returns:
        dict: ``state_dict`` and ``meta``; the latter is empty if the file is not of mmcovid, and
        otherwise has what :func:`to_safetensors` was given. ``cfg`` is there only if it can be
        trusted, as MMEngine runs it; ``saved_config`` is what the file has.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is truncated or corrupt.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(filename).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f'{filename}: there is no such file. Correct its path.')
    device = map_location if isinstance(map_location, (str, torch.device)) else 'cpu'
    try:
        with safe_open(path, framework='pt', device=str(device)) as file:
            header = file.metadata() or {}
            state_dict = OrderedDict((name, file.get_tensor(name)) for name in file.keys())  # noqa: SIM118
        meta = _read_header(header) if 'mmcovid' in header else {}
    except (
        SafetensorError,
        AttributeError,
        KeyError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise ValueError(
            f'{filename}: cannot be read ({error}). It may be truncated or no '
            'safetensors file: copy or download it again.'
        ) from error
    # versions of the modules, by which PyTorch and MMCV tell how to read former weights
    modules = OrderedDict(meta.pop('modules', {}))
    state_dict._metadata = modules  # type: ignore[attr-defined]  # as PyTorch sets it
    return dict(meta=meta, state_dict=state_dict)


def to_safetensors(checkpoint: dict) -> bytes:
    """The bytes of a safetensors file that holds a checkpoint.

    Its header has, as JSON: ``config`` (its values), ``dataset_meta``, ``card`` and ``meta`` (what
    else the checkpoint tells), as far as they are known, and ``modules`` (their versions).

    Args:
        checkpoint (dict): ``state_dict`` and ``meta``. Weights that share memory are written
            once for each of their names; dtypes are kept.

    Raises:
        ValueError: The state dict holds something else than tensors, or the config is a program.
    """
    from safetensors.torch import save

    from .saved_config import parse_config, to_json

    state_dict, meta = checkpoint['state_dict'], dict(checkpoint.get('meta', {}))
    others = [name for name, value in state_dict.items() if not torch.is_tensor(value)]
    if others:
        raise ValueError(
            f'weights that are no tensors, {name_some(others)}, cannot be kept in a '
            f'{SUFFIX} file. Write a .pth file.'
        )
    header = {name: meta.pop(key) for key, name in _KEYS.items() if key in meta}
    if 'config' in header:
        header['config'] = to_json(parse_config(header['config']))
    header |= dict(meta=meta, modules=getattr(state_dict, '_metadata', {}), mmcovid=SCHEMA_VERSION)
    tensors = {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in state_dict.items()
    }
    texts = {
        name: json.dumps(to_plain(value), ensure_ascii=False) for name, value in header.items()
    }
    return _sort_header(save(tensors, dict(texts, format='pt')))


def _sort_header(data: bytes) -> bytes:
    """The library writes its header in an order of chance; the same weights get the same bytes."""
    end = 8 + int.from_bytes(data[:8], 'little')
    text = json.dumps(json.loads(data[8:end]), sort_keys=True, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % 8)
    return b''.join([len(text).to_bytes(8, 'little'), text, data[end:]])


def _read_header(header: dict[str, str]) -> dict:
    """``meta`` of a checkpoint, from the header of a file of mmcovid."""
    from .saved_config import (
        UntrustedConfigError,
        config_text,
        from_json,
        inference_part,
        saved_values,
    )

    content = {name: json.loads(text) for name, text in header.items() if name != 'format'}
    if content['mmcovid'] > SCHEMA_VERSION:
        raise ValueError(f'written by a newer mmcovid, format {content["mmcovid"]}; update mmcovid')
    meta = dict(content['meta'], modules=content['modules'])
    meta.update((key, content[name]) for key, name in _KEYS.items() if name in content)
    if 'cfg' in meta:
        meta['saved_config'] = from_json(meta.pop('cfg'))
        with suppress(UntrustedConfigError):
            meta['cfg'] = config_text(inference_part(saved_values(meta)))
    if 'dataset_meta' in meta:
        # JSON knows no tuples; to MMDetection a palette that is no list is one colour
        meta['dataset_meta'] = {
            key: [tuple(colour) for colour in value]
            if key == 'palette' and isinstance(value, list)
            else tuple(value)
            if isinstance(value, list)
            else value
            for key, value in meta['dataset_meta'].items()
        }
    return meta
