"""Tables as CSV files."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from mmcovid.utils.escape import cell
from mmcovid.utils.files import write_text


def write_csv(path: str | Path, header: Sequence[str], rows: Iterable[dict]) -> None:
    """Write a table whole or not at all; what is missing or undefined (nan) is an empty cell.

    No cell is a formula to a spreadsheet: see :func:`~mmcovid.utils.escape.cell`.

    Args:
        path (str | Path): The file; missing folders are made.
        header (Sequence[str]): Names of the columns.
        rows (Iterable[dict]): Values by column.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, header, restval='', lineterminator='\n')
    writer.writerow({key: cell(key) for key in header})
    for row in rows:
        writer.writerow({key: '' if value != value else cell(value) for key, value in row.items()})
    write_text(text.getvalue(), path)
