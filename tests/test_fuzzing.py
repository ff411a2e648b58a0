"""Broken files of every kind end in a result or in our error: never in another, nor in a hang.

``MMCOVID_FUZZ=100 pytest tests/test_fuzzing.py`` tries 100 of each kind, other ones each time.
"""

import os
import resource
import signal
import warnings
from contextlib import contextmanager

import pytest
from fuzz_utils import KINDS, mutations
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

TRIES = os.environ.get('MMCOVID_FUZZ')
#: Far above what any of these small files needs, on any machine.
SECONDS, BYTES = 120, 2**29


@contextmanager
def bounds():
    """A budget, an alarm against hangs, and a look at the memory afterwards."""

    def stop(*_):
        raise AssertionError('it hangs')

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    former = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, former)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < BYTES


def read(kind, path):
    """Read a file that may be broken; only errors that name it may come of it."""
    with bounds():
        try:
            kind.read(path)
        except (OSError, ValueError) as error:
            # the libraries raise ValueErrors too, which name no file
            assert path.name in str(error) or str(path.parent) in str(error), repr(error)


@pytest.fixture(autouse=True)
def small_budget(monkeypatch):
    monkeypatch.setenv('MMCOVID_MAX_SLICE_PIXELS', str(2**16))
    monkeypatch.setenv('MMCOVID_MAX_MIB', '8')


@pytest.mark.parametrize('kind', KINDS, ids=str)
def test_good_files_are_read(kind, tmp_path):
    kind.write(tmp_path / kind.name)
    with bounds():
        kind.read(tmp_path / kind.name)


@pytest.mark.parametrize('kind', KINDS, ids=str)
def test_broken_files_are_read_or_named(kind, tmp_path_factory):
    template = tmp_path_factory.mktemp('good') / kind.name
    kind.write(template)
    content = template.read_bytes()

    @settings(
        max_examples=int(TRIES or 5),
        derandomize=not TRIES,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(mutations(kind.text))
    def check(changes):
        broken = content
        for change in changes:
            broken = change.apply(broken)
        template.write_bytes(broken)
        read(kind, template)

    check()


@pytest.mark.parametrize('kind', KINDS, ids=str)
def test_anything_under_the_name(kind, tmp_path_factory):
    path = tmp_path_factory.mktemp('any') / kind.name
    kind.write(path)  # also what lies beside it

    @settings(
        max_examples=int(TRIES or 2),
        derandomize=not TRIES,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @example(b'[' * 100_000)
    @given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
    def check(content):
        path.write_bytes(content)
        read(kind, path)

    check()
