"""Run the training and the test script in a process of its own, and read its log."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

# The time to the end of a validation says nothing of the training that it interrupts.
_ETA = re.compile(r'\((?:train|test)\).*? eta: (?:(\d+) days?, )?(\d+):(\d\d):(\d\d)')
_ERROR = re.compile(r'^[\w.]+(?:Error|Exception)\b.*', re.MULTILINE)


def run_script(command: list[str], log: Path, tick: Callable[[], None], interval: float = 2) -> int:
    """Run a command, its output appended to ``log``; end it if this process is interrupted.

    Args:
        command (list[str]): The command and its arguments.
        log (Path): File for its output and its errors.
        tick (Callable): Called every ``interval`` seconds.
        interval (float): Seconds.

    Returns:
        int: Its exit status, negative if a signal ended it.
    """
    with open(log, 'ab') as output:
        # close_fds=False: a file lock of the caller lasts as long as the process
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            close_fds=False,
        )
        try:
            while True:
                try:
                    return process.wait(timeout=interval)
                except subprocess.TimeoutExpired:
                    tick()
        finally:
            if process.poll() is None:
                _end(process)


def _end(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def read_eta(log: Path, offset: int = 0) -> float | None:
    """Seconds to the end of a training or test, as its log says.

    Args:
        log (Path): Log of MMEngine; it may be missing.
        offset (int): Bytes at its beginning that belong to former runs.

    Returns:
        float | None: The last ``eta`` in the log, or ``None`` if there is none yet.
    """
    found = _ETA.findall(_read_end(log, offset))
    if not found:
        return None
    days, hours, minutes, seconds = (int(number or 0) for number in found[-1])
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def failure_reason(code: int, log: Path, offset: int = 0) -> str:
    """Why a script failed, in one line: its last error, or else the last line of its log.

    Args:
        code (int): Exit status, negative if a signal ended the script.
        log (Path): Its log.
        offset (int): Bytes at the beginning of the log that belong to former runs.

    Returns:
        str: At most 160 characters.
    """
    if code < 0:
        return f'ended by signal {-code}'
    text = _read_end(log, offset)
    lines = _ERROR.findall(text) or [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip()[:160] if lines else f'exit status {code}'


def _read_end(log: Path, offset: int) -> str:
    """The text behind ``offset``, its last 50 kB at most."""
    if not log.exists():
        return ''
    with open(log, 'rb') as file:
        file.seek(max(offset, log.stat().st_size - 50_000))
        return file.read().decode('utf-8', errors='replace')
