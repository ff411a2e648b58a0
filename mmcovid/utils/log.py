"""Messages of rooms that need no MMEngine."""

import logging
import sys

from .escape import printable


def log(message: str, level: int = logging.INFO) -> None:
    """Say something: in the log of MMEngine's run if there is one, else by Python's logging.

    Args:
        message (str): What to say.
        level (int): As of :mod:`logging`. Defaults to ``logging.INFO``.
    """
    message = printable(message)
    if sys.modules.get('mmengine') is not None:
        from mmengine.logging import print_log

        print_log(message, logger='current', level=level)
    else:
        logging.getLogger('mmcovid').log(level, message)
