"""What commands share that needs no PyTorch."""

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

from mmcovid.utils.budget import DEFAULTS, MIB, SLICE_PIXELS
from mmcovid.utils.escape import printable


def make_parser(command: str, description: str, example: str) -> argparse.ArgumentParser:
    """A parser for a command.

    Args:
        command (str): Its name after ``mmcovid``.
        description (str): What it does.
        example (str): Arguments of a use that makes sense.
    """
    return argparse.ArgumentParser(
        prog=f'mmcovid {command}',
        description=description,
        epilog=f'example:\n  mmcovid {command} {example}',
        formatter_class=_Formatter,
    )


class _Formatter(argparse.HelpFormatter):
    """Wraps paragraphs, and leaves indented lines as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = text.strip().split('\n\n')
        return '\n\n'.join(
            paragraph
            if '\n  ' in paragraph or paragraph.startswith('-')
            else super(_Formatter, self)._fill_text(paragraph, width, indent)
            for paragraph in paragraphs
        )


def add_conversion_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of every command that converts a set."""
    parser.add_argument(
        '--out',
        type=Path,
        required=True,
        metavar='OUT',
        help='folder to write the JSON and a dataset_card.json to',
    )
    parser.add_argument('--dry-run', action='store_true', help='check and count, but write nothing')
    parser.add_argument(
        '--workers', type=int, default=4, metavar='N', help='threads that read files (default: 4)'
    )
    add_budget_arguments(parser)


def add_instance_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of how masks are cut into instances."""
    parser.add_argument(
        '--min-area',
        type=int,
        default=100,
        metavar='PIXELS',
        help='keep connected components of more pixels than this (default: 100)',
    )
    parser.add_argument(
        '--merge-lesions',
        action='store_true',
        help='make one class "lesion" of GGO and consolidation',
    )


def add_split_argument(parser: argparse._ActionsContainer, line: str) -> None:
    """Add ``--split``, a list file for each JSON.

    Args:
        parser (argparse._ActionsContainer): The parser, or a group of it.
        line (str): What a line of the file looks like.
    """
    parser.add_argument(
        '--split',
        action='append',
        default=[],
        metavar='[NAME=]FILE',
        help=f'text file of slices, one {line} per line; makes NAME.json, or a JSON of the same '
        'name; repeat for each split',
    )


class _Variable(argparse.Action):
    """Sets a variable of the environment, which all processes of the command inherit."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        os.environ[str(self.const)] = str(values)
        setattr(namespace, self.dest, values)


def add_budget_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of how large an input may be, see :mod:`mmcovid.utils.budget`."""
    for option, variable, unit, what in (
        ('--max-slice-pixels', SLICE_PIXELS, 'N', 'largest slice that is decoded, in pixels'),
        ('--max-mib', MIB, 'MIB', 'largest volume that is decoded, in MiB'),
    ):
        parser.add_argument(
            option,
            action=_Variable,
            const=variable,
            type=_above_0,
            metavar=unit,
            help=f'{what} (default: {DEFAULTS[variable]}, or {variable})',
        )


def _above_0(text: str) -> int:
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f'{text!r} is no whole number above 0')
    return int(text)


def add_cfg_options(parser: argparse.ArgumentParser) -> None:
    """Add the option that changes entries of a config; :func:`read_cfg_options` reads it."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='change entries of the config',
    )


def add_trust_code(parser: argparse.ArgumentParser) -> None:
    """Add the option by which a command runs the config of a checkpoint."""
    parser.add_argument(
        '--trust-code',
        action='store_true',
        help='run the config that is saved in the weights as a Python program, and import what it '
        'names: it can do whatever you can. Only for files whose origin you trust. Without it the '
        'config is read as data, and refused if it is more',
    )


def read_cfg_options(args: argparse.Namespace) -> dict:
    """The entries to change, as MMEngine reads them; not imported before a config is."""
    from mmengine.config import DictAction

    parser = argparse.ArgumentParser()
    parser.add_argument('options', nargs='*', action=DictAction)
    return parser.parse_args(['--', *args.cfg_options]).options or {}


@contextmanager
def exit_on(*errors: type[Exception]) -> Iterator[None]:
    """End the process in a sentence where a library raises one of these errors.

    Libraries raise, and only commands end the process.
    """
    try:
        yield
    except errors as error:
        raise SystemExit(printable(f'error: {error}')) from error


def command(
    main: Callable[[Sequence[str] | None], int | None],
) -> Callable[[Sequence[str] | None], int | None]:
    """Decorator of commands that train and test nothing: bad input ends them in a sentence."""

    @wraps(main)
    def run(argv: Sequence[str] | None = None) -> int | None:
        with exit_on(ImportError, OSError, ValueError):
            return main(argv)

    return run
