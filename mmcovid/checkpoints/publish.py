"""Checkpoints as they are given to others."""

import hashlib
import io
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from mmengine.runner.checkpoint import CheckpointLoader

from mmcovid.cards import read_model_card
from mmcovid.scan_class import LearnedRule
from mmcovid.utils.files import atomic_path, sha256

from .guard import safe_checkpoints
from .safetensors import SUFFIX, to_safetensors
from .saved_config import (
    UntrustedConfigError,
    config_text,
    inference_part,
    saved_hash,
    saved_values,
)

#: Of the meta of a checkpoint; the optimiser, its schedules and the log are left out.
KEPT = (
    'cfg',
    'dataset_meta',
    'card',
    'config_sha256',
    'scan_rule',
    'epoch',
    'iter',
    'seed',
    'experiment_name',
    'time',
    'mmengine_version',
    'mmcovid_version',
)
_TIME_STAMP = re.compile(r'_\d{8}_\d{6}$')


def publish_model(
    checkpoint: str | Path,
    out: str | Path,
    overwrite: bool = False,
    statistics: Mapping[str, torch.Tensor] | None = None,
    scan_rule: LearnedRule | None = None,
) -> tuple[Path, list[str]]:
    """Write what inference needs of a checkpoint: weights, config, classes, and the model card.

    Args:
        checkpoint (str | Path): Checkpoint, ``.pth`` or ``.safetensors``.
        out (str | Path): File to write, ``.safetensors`` or ``.pth``, to whose name 8 digits of
            its SHA-256 are added, as OpenMMLab does; or a folder, for a ``.safetensors`` file
            that is named by its config and these digits.
        overwrite (bool): Replace a file that is there. Defaults to False.
        statistics (Mapping[str, Tensor], optional): Of the training data, for the state dict; see
            :func:`mmcovid.apis.familiarity.fit_familiarity`. Defaults to None.
        scan_rule (LearnedRule, optional): For the class of a scan. Defaults to None: that of the
            checkpoint, if it has one.

    Returns:
        tuple[Path, list[str]]: The file, and what it lacks, in sentences.

    Raises:
        FileExistsError: The file is there.
        OSError, ValueError: The checkpoint cannot be read, or ``out`` has another suffix.
        UnsafeCheckpointError: The checkpoint holds more than tensors and plain values.
    """
    checkpoint, out = Path(checkpoint), Path(out)
    to_folder = out.is_dir() or not out.suffix
    suffix = SUFFIX if to_folder else out.suffix
    if suffix not in (SUFFIX, '.pth'):
        raise ValueError(f'{out}: name the file .pth or {SUFFIX}, or give a folder.')
    loaded = _load(checkpoint)
    meta = {key: value for key, value in loaded.get('meta', {}).items() if key in KEPT}
    lacks = []
    if 'dataset_meta' not in meta:
        lacks.append('it tells no classes: those of the config are taken when it is loaded')
    _keep_config(loaded.get('meta', {}), meta, checkpoint, lacks)
    loaded['state_dict'].update(statistics or {})
    if scan_rule is not None:
        known = tuple(meta.get('dataset_meta', {}).get('image_classes', scan_rule.classes))
        if known != scan_rule.classes:
            raise ValueError(
                f'{checkpoint}: knows the classes {", ".join(known)}, and the rule for scans '
                f'{", ".join(scan_rule.classes)}. Give one that was fitted to this model.'
            )
        meta['scan_rule'] = scan_rule.to_plain()
    content = dict(meta=meta, state_dict=loaded['state_dict'])
    data = to_safetensors(content) if suffix == SUFFIX else _to_pth(content)

    digits = hashlib.sha256(data).hexdigest()[:8]
    if to_folder:
        name = _TIME_STAMP.sub('', meta.get('experiment_name', checkpoint.stem))
        out = out / f'{name}-{digits}{suffix}'
    elif suffix == '.pth':
        out = out.with_name(f'{out.stem}-{digits}.pth')
    if out.exists() and not overwrite:
        raise FileExistsError(f'{out}: is there already. Choose another name, or --overwrite it.')
    with atomic_path(out) as temporary:
        Path(temporary).write_bytes(data)
    return out, lacks


def _keep_config(told: dict, meta: dict, checkpoint: Path, lacks: list[str]) -> None:
    """Of the config, keep what inference needs, as values, and the card that belongs to it.

    Args:
        told (dict): Meta of the checkpoint.
        meta (dict): What is kept of it; ``cfg``, ``config_sha256`` and ``card`` are set, or
            deleted.
        checkpoint (Path): The file.
        lacks (list[str]): Takes a sentence for what is missing.
    """
    held = meta.pop('card', None)
    if meta.pop('cfg', told.get('saved_config')) is None:
        lacks.append('it has no config: give one when you load it')
        return
    try:
        values = saved_values(told)
        meta['config_sha256'] = saved_hash(told, values)
        if card := card_of(checkpoint, meta['config_sha256'], held, lacks):
            meta['card'] = card
        meta['cfg'] = config_text(inference_part(values))
    except UntrustedConfigError as error:
        lacks.append(
            f'it has no config, as that of the checkpoint {error}: give one when you load it'
        )


def load_meta(checkpoint: str | Path) -> dict:
    """What a checkpoint tells of itself: config, classes, model card; empty if it tells nothing.

    Raises:
        OSError, ValueError: The checkpoint cannot be read.
        UnsafeCheckpointError: It holds more than tensors and plain values.
    """
    return _load(checkpoint).get('meta', {})


def _load(checkpoint: str | Path) -> dict:
    """A checkpoint with a ``state_dict``."""
    try:
        with safe_checkpoints():
            loaded = CheckpointLoader.load_checkpoint(str(checkpoint), 'cpu', logger='silent')
    except (EOFError, RuntimeError) as error:
        raise ValueError(
            f'{checkpoint}: truncated or no checkpoint ({error}). Copy it again.'
        ) from error
    if not isinstance(loaded, dict) or 'state_dict' not in loaded:
        raise ValueError(f'{checkpoint}: has no state_dict. Give a checkpoint of a training.')
    return loaded


def card_of(
    checkpoint: Path, config_sha256: str, held: dict | None, lacks: list[str]
) -> dict | None:
    """The model card of a checkpoint, with the tests of this checkpoint only.

    Args:
        checkpoint (Path): The file.
        config_sha256 (str): Hash of its config.
        held (dict, optional): The card in it.
        lacks (list[str]): Takes a sentence if there is no card.
    """
    if held is not None:  # published before
        return held
    try:
        card = read_model_card(checkpoint.parent)
    except ValueError as error:
        lacks.append(f'it has no model card: {error}')
        return None
    if card is None:
        lacks.append(f'it has no model card, as there is none in {checkpoint.parent}')
        return None
    if card['config']['hash'] != config_sha256:
        lacks.append(
            f'it has no model card, as that in {checkpoint.parent} is of a training with '
            'another config'
        )
        return None
    digest = sha256(checkpoint)
    return dict(
        card,
        tests=[test for test in card['tests'] if test['checkpoint']['sha256'] == digest],
        published=dict(file=checkpoint.name, sha256=digest),
    )


def _to_pth(checkpoint: dict) -> bytes:
    buffer = io.BytesIO()
    torch.save(checkpoint, buffer)
    return buffer.getvalue()
