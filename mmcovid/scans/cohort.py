"""Many scans at once, on the workers of a Dask cluster; see ``docs/en/cohorts.md``.

One scan is one task. Workers write its folder, and only the process that asked for it writes
``summary.csv``, so that a worker may die at any time: Dask gives its scan to another.
"""

import logging
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from os import PathLike
from pathlib import Path
from threading import Lock
from typing import Any

from rich.progress import track

from mmcovid.results import ModelInfo

from .inputs import Scan
from .predictor import SlicePredictor
from .run import ScanOutcome, check_settings, failed_outcome, run_scan, sum_up, tell_error
from .settings import Settings

try:
    import dask
    from dask.system import CPU_COUNT
    from distributed import CancelledError, Client, Future, KilledWorker, LocalCluster, as_completed
except ImportError as error:
    raise ImportError(
        'distributed is not installed; to mend it, run: pip install distributed'
    ) from error

#: How often a scan is tried again after an error of the worker, such as a model it cannot load.
RETRIES = 2
_ONE_AT_A_TIME = Lock()


@contextmanager
def start_workers(number: int) -> Iterator[Client]:
    """Processes of this machine that share its cores, for :func:`run_cohort`.

    A process has as many threads as ``OMP_NUM_THREADS`` says, else its share of the cores.

    Args:
        number (int): Of processes.

    Yields:
        Client: They end with the block.

    Raises:
        ChildProcessError: One cannot be started.
    """
    threads = dict.fromkeys(
        ('OMP_NUM_THREADS', 'MKL_NUM_THREADS', 'OPENBLAS_NUM_THREADS'),
        max(1, CPU_COUNT // number),
    )
    rules = {
        'distributed.nanny.pre-spawn-environ': threads,
        # a scan that only waits in the queue of a worker is not to blame for its death
        'distributed.scheduler.worker-saturation': 1.0,
        # a worker that died comes back by itself, on a busy machine late: it is not given up
        'distributed.deploy.lost-worker-timeout': '30 days',
    }
    with _kept_environment(), dask.config.set(rules):
        try:
            cluster = LocalCluster(
                n_workers=number,
                threads_per_worker=1,
                memory_limit=None,  # results are small; Dask would only pause what predicts
                dashboard_address=None,
                silence_logs=logging.CRITICAL,  # what matters is told in summary.csv
            )
        except RuntimeError as error:
            raise ChildProcessError(
                f'a worker died while it started ({error}). Take fewer workers'
            ) from error
        with cluster, Client(cluster) as client:
            yield client


@contextmanager
def _kept_environment() -> Iterator[None]:
    """The variables that Dask sets for workers are not left behind in this process."""
    before = dict(os.environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def connect(scheduler: str) -> Iterator[Client]:
    """The workers of a scheduler that runs already, for :func:`run_cohort`.

    Args:
        scheduler (str): Its address, such as ``tcp://host:8786``, or the file that
            ``dask scheduler --scheduler-file`` wrote.

    Yields:
        Client: It leaves with the block.

    Raises:
        ConnectionError: There is no scheduler.
    """
    try:
        client = (
            Client(scheduler_file=scheduler) if Path(scheduler).is_file() else Client(scheduler)
        )
    except (OSError, ValueError) as error:
        raise ConnectionError(
            f'{scheduler}: no Dask scheduler answers ({error}). Start one by "dask scheduler".'
        ) from error
    with client:
        yield client


def run_cohort(
    client: Client,
    load: Callable[[], SlicePredictor],
    inputs: Sequence[str | PathLike],
    out: str | PathLike,
    settings: Settings | None = None,
    show_progress: bool = True,
) -> list[dict[str, Any]]:
    """Predict scans as :func:`~mmcovid.scans.run_scans` does, on the workers of a cluster.

    Inputs, ``out`` and what ``load`` reads have to be on file systems that all workers see, by the
    same paths.

    Args:
        client (Client): Of a cluster whose workers are processes; each reads one scan at a time.
        load (Callable): Makes the predictor; every worker calls it once.
        inputs (Sequence[str | PathLike]): As for :func:`~mmcovid.scans.find_scans`.
        out (str | PathLike): Folder to write to.
        settings (Settings, optional): Rules. Defaults to those of :class:`Settings`.
        show_progress (bool): Show a progress bar of scans. Defaults to True.

    Returns:
        list[dict]: As of :func:`~mmcovid.scans.run_scans`. A scan whose worker dies again and
        again has failed.

    Raises:
        ConnectionError: The scheduler is lost.
        ChildProcessError: Workers die while they load the model.
        ValueError: As :func:`~mmcovid.scans.run.check_settings`.
        Exception: Whatever ``load`` raises.
    """
    settings, out = settings or Settings(), Path(out)
    run = uuid.uuid4().hex
    job = _Job(run, load, out, settings, workplace=out / f'.unfinished-{run}')
    if show_progress and not client.nthreads():
        print('waiting for a worker')
    try:
        client.submit(_check, job, pure=False).result()
    except KilledWorker as error:
        raise ChildProcessError(f'the model cannot be loaded: {_tell_deaths(error)}') from error

    def run_all(scans: Mapping[str, Scan]) -> Iterator[tuple[str, ScanOutcome]]:
        former = {name for name in scans if (out / name).exists()}
        # a folder that appears later is that of a worker that died before it could tell
        retried = replace(job, settings=replace(settings, resume=True))
        futures = client.map(
            _run_scan,
            [job if name in former else retried for name in scans],
            list(scans),
            list(scans.values()),
            retries=RETRIES,
            pure=False,  # or the scheduler takes the task for that of a run before
        )
        names = dict(zip(futures, scans))
        done = as_completed(futures)
        del futures  # so that the scheduler forgets what is done
        for future in track(done, 'scans', total=len(scans), disable=not show_progress):
            name = names.pop(future)
            outcome = _outcome(future, name, scans[name], out, settings)
            yield name, outcome._replace(kept=outcome.kept and name in former)

    try:
        return sum_up(inputs, out, run_all, settings)
    finally:
        shutil.rmtree(job.workplace, ignore_errors=True)  # what killed workers have left


@dataclass(frozen=True)
class _Job:
    """What all tasks of a run share; those of one run are equal."""

    run: str
    load: Callable[[], SlicePredictor] = field(compare=False)
    out: Path = field(compare=False)
    settings: Settings = field(compare=False)
    workplace: Path = field(compare=False)  #: of folders that are not complete


@lru_cache(maxsize=1)
def _open(job: _Job) -> tuple[SlicePredictor, ModelInfo]:
    """The predictor of a run, which a worker loads once, and what it tells of itself."""
    predictor = job.load()
    return predictor, predictor.model_info


def _check(job: _Job) -> None:
    """Find out on a worker whether the run can be done."""
    with _ONE_AT_A_TIME:
        predictor, _ = _open(job)
    check_settings(predictor, job.settings)


def _run_scan(job: _Job, name: str, scan: Scan) -> ScanOutcome:
    """The task of a worker."""
    with _ONE_AT_A_TIME:  # predictors are not made for several threads
        predictor, model = _open(job)
        return run_scan(
            predictor, model, name, scan, job.out, job.settings, workplace=job.workplace
        )


def _outcome(future: Future, name: str, scan: Scan, out: Path, settings: Settings) -> ScanOutcome:
    """What a task gives; a failure if it failed.

    Raises:
        ConnectionError: The scheduler is lost.
    """
    try:
        return future.result()
    except CancelledError as error:
        raise ConnectionError(
            'the Dask scheduler is lost. Run the command again, with --resume'
        ) from error
    except KilledWorker as error:
        reason = _tell_deaths(error)
    except Exception as error:
        reason = tell_error(error)
    return failed_outcome(name, scan, reason, out, settings)


def _tell_deaths(error: KilledWorker) -> str:
    return (
        f'{error.allowed_failures + 1} workers died one after the other, perhaps for want of '
        'memory. Take fewer workers, or none'
    )
