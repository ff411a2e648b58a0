"""``summary.csv``, the table of all scans of a folder.

While scans are read, their lines are appended, each with one write. At the end of a run the table
is settled: sorted, and one line for each scan. Every line ends where it says so, in a newline that
is no part of a value, so that a line which a killed process left torn is known by its missing end.
"""

import csv
import io
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from mmcovid.reporting import write_csv
from mmcovid.results import Failure
from mmcovid.utils.escape import cell

NAME = 'summary.csv'
#: Status of a scan that is complete, but is not in its archive as it should be.
NOT_STORED = 'not stored'
#: Columns that all lines have; ``reason`` is the last one, whatever is between.
_FIRST, _LAST = ('scan', 'status', 'input'), 'reason'
#: What csv ends lines at, or cannot read.
_BREAKS = dict.fromkeys(map(ord, '\r\n\0'), ' ')
_BLOCK = 2**16


def summary_line(name: str, results: dict[str, Any]) -> dict[str, Any]:
    """The line of a scan, by column.

    Args:
        name (str): Of the scan.
        results (dict): What its ``results.json`` holds.
    """
    scan, found = results['scan'], results['classification']
    line: dict[str, Any] = dict(
        scan=name,
        status='ok' if results['complete'] else 'incomplete',
        input=scan['path'],
        slices=scan['num_slices'],
    )
    line |= {key: found and found[key] for key in ('class', 'leading_class', 'score')}
    if found:
        line |= {f'score_{key}': value for key, value in found['scores'].items()}
        if (held := found.get('prediction_set')) is not None:  # not of versions before
            line |= dict(prediction_set=' '.join(held))
    if familiarity := results.get('familiarity'):  # not of versions before
        line |= dict(feature_distance=familiarity['distance'], familiar=familiarity['familiar'])
    for key, volume in (results['volumes'] or {}).items():
        line |= {f'{key}_ml': volume['ml'], f'{key}_share_of_lung': volume['share_of_lung']}
    if joined := results.get('lesions_3d'):  # not of versions before
        line |= dict(lesions_3d=joined['count'], load_score=joined['load_score'])
    reason = '; '.join(f'{failure["input"]}: {failure["reason"]}' for failure in results['errors'])
    return dict(line, reason=reason)


def failed_line(name: str, failure: Failure) -> dict[str, Any]:
    """The line of an input without results, by column."""
    return dict(scan=name, status='failed', input=failure.input, reason=failure.reason)


def append_lines(out: Path, lines: Iterable[dict[str, Any]]) -> None:
    """Add lines to ``summary.csv``; those of other runs stay.

    A scan that failed where there are results of it already gets none. Several processes may write
    to one folder: each waits for the others. The table is written anew only where a line has a
    column that it lacks.

    Args:
        out (Path): Folder of ``summary.csv``.
        lines (Iterable[dict]): Of :func:`summary_line` and :func:`failed_line`.
    """
    with _lock(out):
        new = [_on_one_line(line) for line in lines if not _has_results(out, line)]
        if not new:
            return
        header = _mend(out / NAME)
        wider = _header([dict.fromkeys(header), *new])
        if set(wider) > set(header):
            write_csv(out / NAME, wider, [*_read(out / NAME), *new])
            return
        text = io.StringIO()
        csv.DictWriter(text, header, restval='', lineterminator='\n').writerows(new)
        with open(out / NAME, 'ab') as file:
            file.write(text.getvalue().encode())


def settle(out: Path) -> None:
    """Sort ``summary.csv`` by name, and keep the newest line of each scan.

    Failures of an input are forgotten when there is a newer line of it. Inputs that are no scan
    have no name, and are sorted by their path.
    """
    with _lock(out):
        header = _mend(out / NAME)
        if not header:
            return
        lines = _read(out / NAME)
        newest = {line['input']: place for place, line in enumerate(lines)}
        kept = {
            (line['scan'], '' if line['scan'] else line['input']): line
            for place, line in enumerate(lines)
            if line['status'] != 'failed' or newest[line['input']] == place
        }
        ordered = sorted(kept.values(), key=lambda line: line['scan'] or line['input'])
        write_csv(out / NAME, header, ordered)


def _lock(out: Path) -> FileLock:
    out.mkdir(parents=True, exist_ok=True)
    return FileLock(out / '.summary.lock')


def _has_results(out: Path, line: dict[str, Any]) -> bool:
    """Whether a line tells a failure of a scan that has results."""
    there = line['scan'] and (out / line['scan'] / 'results.json').is_file()
    return line['status'] == 'failed' and bool(there)


def _on_one_line(line: dict[str, Any]) -> dict[str, Any]:
    """A line whose cells hold no line break, no formula, and what UTF-8 has a code for."""
    return {
        str(cell(_plain(key))): cell(_plain(value)) if isinstance(value, str) else value
        for key, value in line.items()
    }


def _plain(value: str) -> str:
    value = value.translate(_BREAKS)
    return value.encode(errors='backslashreplace').decode()  # of names that are no UTF-8


def _header(lines: Iterable[dict[str, Any]]) -> list[str]:
    """All columns of lines."""
    columns = dict.fromkeys([*_FIRST, *(column for line in lines for column in line), _LAST])
    return [column for column in columns if column != _LAST] + [_LAST]


def _mend(path: Path) -> Sequence[str]:
    """Cut off a line that is torn at its end; return the columns, none if there is no table."""
    if not path.is_file():
        return ()
    with _reading(path) as reader:
        header = reader.fieldnames or ()
    with open(path, 'r+b') as file:
        end = file.seek(0, os.SEEK_END)
        whole = _end_of_lines(file, end)
        if whole and not {*_FIRST, _LAST} <= set(header):
            raise ValueError(f'{path}: is no table of scans. Give another folder, or take it away.')
        if whole < end:
            file.truncate(whole)
    return header if whole else ()


def _end_of_lines(file: io.BufferedRandom, end: int) -> int:
    """Where the last whole line ends: searched from the end, so that long tables cost no more."""
    while end > 0:
        start = max(0, end - _BLOCK)
        file.seek(start)
        found = file.read(end - start).rfind(b'\n')
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def _read(path: Path) -> list[dict[str, Any]]:
    """All lines; none if there is no table. Values beyond the columns go to the last one."""
    if not path.is_file():
        return []
    with _reading(path) as reader:
        lines = list(reader)
    for line in lines:
        line[_LAST] = ' '.join([line[_LAST], *line.pop(None, ())])
    return lines


@contextmanager
def _reading(path: Path) -> Iterator[csv.DictReader]:
    """A reader of a table that others may have edited."""
    # the reasons of a scan with many bad slices are longer than what csv reads by default
    csv.field_size_limit(sys.maxsize)
    try:
        with open(path, newline='', encoding='utf-8', errors='backslashreplace') as file:
            yield csv.DictReader(file, restval='')
    except csv.Error as error:
        raise ValueError(f'{path}: is no table ({error}). Mend it, or take it away.') from error
