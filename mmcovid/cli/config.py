"""Show a config with all that it inherits, and where each value comes from."""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction

from mmcovid.utils.configs import config_root, find_config, list_configs

from .arguments import command, make_parser


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = make_parser(
        'config',
        'Print all values of a config, each with the file that sets it: the config itself or one '
        'that it inherits. Without a name, list the configs that come with mmcovid.',
        'one-shot_r18_fpn_lstm1_cncb model.attention_head',
    )
    parser.add_argument(
        'config', nargs='?', metavar='CONFIG', help='path, or base name of a config of mmcovid'
    )
    parser.add_argument(
        'keys',
        nargs='*',
        metavar='KEY',
        help='only what is below these keys, such as model.backbone',
    )
    parser.add_argument(
        '--python',
        action='store_true',
        help='print it as one file of Python that inherits nothing, without origins',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='change entries of the config',
    )
    args = parser.parse_args(argv)
    if args.python and args.keys:
        parser.error('--python prints the whole config: leave KEY out')
    return args


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    if args.config is None:
        print('\n'.join(list_configs()))
        return
    path = find_config(args.config)
    cfg = Config.fromfile(path)
    cfg.merge_from_dict(args.cfg_options or {})
    if args.python:
        print(cfg.pretty_text)
        return
    values, known = dict(flatten(cfg.to_dict())), find_origins(path)
    chosen = [
        key
        for key in values
        if not args.keys
        or any(key == wanted or key.startswith(f'{wanted}.') for wanted in args.keys)
    ]
    if not chosen:
        raise ValueError(
            f'{path} has nothing at {", ".join(args.keys)}; its first keys are '
            f'{", ".join(dict.fromkeys(key.split(".")[0] for key in values))}'
        )
    lines = [f'{key} = {values[key]!r}' for key in chosen]
    width = min(max(map(len, lines)), 72)
    for key, line in zip(chosen, lines):
        value, origin = known.get(key, (None, None))
        print(
            f'{line:<{width}}  # '
            f'{_short(origin) if origin and value == values[key] else "--cfg-options"}'
        )


def flatten(node: Any, key: str = '') -> Iterator[tuple[str, Any]]:
    """Values of nested dicts with their dotted keys; an empty dict and a list are values."""
    if isinstance(node, dict) and node:
        for name, child in node.items():
            yield from flatten(child, f'{key}.{name}' if key else str(name))
    else:
        yield key, node


def find_origins(path: str) -> dict[str, tuple[Any, str]]:
    """Value and file of each key of a config.

    A value that a file repeats of those that it inherits comes from these.

    Args:
        path (str): The config.

    Returns:
        dict[str, tuple[Any, str]]: By dotted key, the value and the file that sets it.
    """
    inherited: dict[str, tuple[Any, str]] = {}
    for base in Config._get_base_files(path):
        base_path, scope = Config._get_cfg_path(base, path)
        if scope is None:  # else of another package, whose values count as this file's
            inherited.update(find_origins(base_path))
    origins = {}
    for key, value in flatten(Config.fromfile(path).to_dict()):
        known = inherited.get(key)
        origins[key] = known if known and known[0] == value else (value, path)
    return origins


def _short(path: str) -> str:
    """A config of mmcovid as seen from its folder."""
    inside = Path(path).resolve()
    root = config_root().resolve()
    return inside.relative_to(root).as_posix() if root in inside.parents else path
