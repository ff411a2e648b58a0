"""The command ``mmcovid``: one sub-command for each thing that people do."""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple

from mmcovid.utils.versions import check_stack
from mmcovid.version import __version__


class Command(NamedTuple):
    """A sub-command."""

    help: str
    needs_stack: bool = True  #: whether it trains, tests or loads a model


#: In the order of their use. Each is a module of this package with a function ``main``.
COMMANDS = {
    'phantom': Command('generate slices and scans to try everything out on', needs_stack=False),
    'convert cncb-lesions': Command('lesion masks of CNCB-NCOV to COCO JSON', needs_stack=False),
    'convert covidx-ct': Command('lists of COVIDx-CT or of the author to JSON', needs_stack=False),
    'convert ictcf': Command('slices of iCTCF to JSON', needs_stack=False),
    'convert nnunet': Command('scans and label maps to nnU-Net v2', needs_stack=False),
    'convert corrections': Command(
        'label maps that readers corrected to slices with masks', needs_stack=False
    ),
    'convert author-checkpoint': Command("the author's LSTM-2 checkpoints"),
    'verify': Command('read every file of a set, and report what is wrong', needs_stack=False),
    'audit': Command('find patients and slices that are in more than one split', needs_stack=False),
    'config': Command('show a config with all that it inherits, and where each value comes from'),
    'train': Command('train a model'),
    'test': Command('test a checkpoint on both tasks'),
    'report': Command('report on predictions, for reviewers', needs_stack=False),
    'external': Command('try a model on a set from elsewhere, and write all that can be said'),
    'lesions': Command('compare segmented scans with true label maps', needs_stack=False),
    'attention': Command('report on attention weights, and whether they can be believed'),
    'shortcut': Command('does a model read the lungs or the scanner?'),
    'compare': Command('train and test several systems, and write one table'),
    'scan-class': Command('fit the class of scans to scans of known class', needs_stack=False),
    'publish': Command('write what inference needs of a checkpoint'),
    'export': Command('write a model as one ONNX file, which runs without PyTorch'),
    # it checks the stack itself, as an exported model needs none
    'infer': Command('segment and classify whole scans', needs_stack=False),
    'doctor': Command('examine the installation', needs_stack=False),
}


def main(argv: Sequence[str] | None = None) -> int | None:
    """Run a sub-command.

    Args:
        argv (Sequence[str], optional): Its name and arguments. Defaults to None: those that the
            process was started with.

    Returns:
        int, optional: Exit status; None for success.

    Raises:
        SystemExit: There is no such command, its arguments are wrong, or it failed.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    name, rest = find_command(argv)
    if name is None:
        _tell_commands(argv)
        return None
    if COMMANDS[name].needs_stack:
        try:
            check_stack()
        except ImportError as error:
            raise SystemExit(f'error: {error}') from error
    module = import_module(f'mmcovid.cli.{name.replace(" ", "_").replace("-", "_")}')
    return module.main(rest)


def run_infer(argv: Sequence[str] | None = None) -> int | None:
    """The command ``mmcovid-infer``."""
    return main(['infer', *(sys.argv[1:] if argv is None else argv)])


def find_command(argv: Sequence[str]) -> tuple[str | None, list[str]]:
    """The command that arguments begin with, if any, and what follows it."""
    for length in (2, 1):
        name = ' '.join(argv[:length])
        if name in COMMANDS:
            return name, list(argv[length:])
    return None, list(argv)


def _tell_commands(argv: Sequence[str]) -> None:
    """Answer where no command is named: help, version, or an error."""
    word = argv[0] if argv else '--help'
    if word == '--version':
        print(f'mmcovid {__version__}')
        return
    begun = [name for name in COMMANDS if name.startswith(f'{word} ')]
    if word not in ('-h', '--help') and not begun:
        raise SystemExit(f'error: there is no command {word!r}; "mmcovid --help" lists them')
    listed = begun or list(COMMANDS)
    width = max(map(len, listed))
    lines = [f'  {name:<{width}}  {COMMANDS[name].help}' for name in listed]
    print(
        '\n'.join(
            [
                'usage: mmcovid COMMAND [-h] ...',
                '',
                'Lesions and class of chest CT slices by one network. Research use only: this is',
                'no medical device.',
                '',
                *lines,
                '',
                '"mmcovid COMMAND --help" tells the arguments of each.',
            ]
        )
    )
