"""Examine the installation."""

from collections.abc import Sequence

from mmcovid.utils import doctor

from .arguments import make_parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit status is 1 if something has to be mended."""
    make_parser(
        'doctor',
        'Print versions, run compiled operators on every device, and say how to '
        'mend what does not work.',
        '',
    ).parse_args(argv)
    return doctor.main()
