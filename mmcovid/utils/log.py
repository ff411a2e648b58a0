"""Messages of rooms that need no MMEngine."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

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


@contextmanager
def without_messages(logger_name: str, beginning: str) -> Iterator[None]:
    """Leave out what a library logs and users need not know.

    Args:
        logger_name (str): Of the logger that the library calls itself.
        beginning (str): Of the messages to leave out.
    """
    logger = logging.getLogger(logger_name)

    def is_other(record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith(beginning)

    logger.addFilter(is_other)
    try:
        yield
    finally:
        logger.removeFilter(is_other)
