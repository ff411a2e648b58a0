"""Train and test several systems, each in processes of its own, and lay their figures side by side.

A system is known by its resolved config. Its folder is named after the config and a hash of what it
resolves to. So a changed config gets another folder, and nothing that was trained is mixed or lost.
"""

import fcntl
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from mmcovid.utils.files import atomic_path

from .scripts import failure_reason, read_eta, run_script
from .systems import RESULT, Job, System, SystemResult
from .table import write_comparison

if TYPE_CHECKING:
    from mmengine.config import Config

#: The command whose ``train`` and ``test`` are run; an installed package has it, too.
COMMAND = (sys.executable, '-m', 'mmcovid.cli')


class Comparison:
    """Trains and tests systems one after the other and keeps one table of them.

    A failing system does not stop the others. What is complete is not repeated, and a broken
    training goes on from its last checkpoint. The table, ``comparison.md`` and ``comparison.csv``,
    is rewritten after every system.

    Args:
        systems (list[System]): The rows, see :func:`.systems.read_systems`.
        out_dir (str | Path): Folder of the table and of the folders of the systems.
        cfg_options (dict, optional): Entries to change in the config of every system.
        amp (bool): Train with mixed precision.
        run (Callable): Runs a command, as :func:`.scripts.run_script` does.

    Raises:
        ValueError: If a config cannot be read, or two are the same.
    """

    def __init__(
        self,
        systems: Sequence[System],
        out_dir: str | Path,
        cfg_options: dict[str, Any] | None = None,
        amp: bool = False,
        run: Callable[[list[str], Path, Callable], int] = run_script,
    ) -> None:
        self.out_dir = Path(out_dir)
        self.amp = amp
        self.run_script = run
        self.console = Console(highlight=False, soft_wrap=True)
        self.jobs: dict[str, Job] = {}
        for system in systems:
            self.jobs[system.name] = self._make_job(system, cfg_options or {})

    def _make_job(self, system: System, cfg_options: dict[str, Any]) -> Job:
        from mmengine.config import Config

        try:
            cfg = Config.fromfile(system.config)
            cfg.merge_from_dict({**system.cfg_options, **cfg_options})
            # Until it is trained, the other system's folder, with its hash, stands for it.
            cfg.merge_from_dict(
                {
                    option: self.jobs[name].work_dir.name
                    for option, name in system.checkpoint_options.items()
                }
            )
        except Exception as error:  # a config is a program and may raise anything
            raise ValueError(
                f'{system.name}: the config {system.config} cannot be read with its '
                f'options ({type(error).__name__}: {error})'
            ) from error
        text = json.dumps([cfg.to_dict(), self.amp], default=str)
        key = hashlib.sha256(text.encode()).hexdigest()[:8]
        work_dir = self.out_dir / f'{system.config.stem}-{key}'
        for name, other in self.jobs.items():
            if other.work_dir == work_dir:
                raise ValueError(f'{system.name} is the same config as {name}: leave one out')
        return Job(system, cfg, work_dir, SystemResult.read(work_dir / RESULT))

    def select(self, only: Sequence[str] = ()) -> list[Job]:
        """The jobs of these systems and of those whose checkpoints they need; all by default.

        Raises:
            ValueError: If there is no system of such a name.
        """
        rows = dict.fromkeys(job.system.row for job in self.jobs.values())
        unknown = [name for name in only if name not in rows]
        if unknown:
            raise ValueError(
                f'there is no system {", ".join(map(repr, unknown))}; there are: {", ".join(rows)}'
            )
        wanted = {name for name, job in self.jobs.items() if job.system.row in (only or rows)}
        for job in reversed(self.jobs.values()):  # what a system needs stands above it
            if job.system.name in wanted:
                wanted.update(job.system.checkpoint_options.values())
        return [job for job in self.jobs.values() if job.system.name in wanted]

    def plan(self, only: Sequence[str] = ()) -> str:
        """What :meth:`run` would do, a line for each system."""
        return '\n'.join(
            f'{job.system.name}: {job.next_step} ({job.system.config} in {job.work_dir})'
            for job in self.select(only)
        )

    def run(self, only: Sequence[str] = ()) -> dict[str, str]:
        """Train and test what is not done.

        Args:
            only (Sequence[str]): Names of systems, without seeds; all by default.

        Returns:
            dict[str, str]: The systems that failed, and why.

        Raises:
            RuntimeError: If another comparison works in the same folder.
        """
        selected = self.select(only)
        jobs = [job for job in selected if not job.done]
        with self._lock():
            self.write_table()
            for number, job in enumerate(jobs, 1):
                title = f'[{number}/{len(jobs)}] {job.system.name}'
                try:
                    self._run_job(job, title, left=len(jobs) - number)
                finally:
                    self.write_table()
                self._say(f'{title}: {job.result.status}')
        return {job.system.name: job.result.error for job in selected if job.result.error}

    def write_table(self) -> None:
        """Write the table of all systems, whatever is known of them."""
        write_comparison([job.row for job in self.jobs.values()], self.out_dir / 'comparison')

    def predictions(self, rows: Sequence[str]) -> list[str]:
        """What is dumped of these rows, a file of each training, as ``NAME=FILE``."""
        return [
            f'{row}={job.predictions}'
            for row in rows
            for job in self.jobs.values()
            if job.system.row == row and job.done
        ]

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Keep a second comparison out of the folder.

        The scripts inherit the lock: one that outlives a killed comparison still holds it.
        """
        self.out_dir.mkdir(parents=True, exist_ok=True)
        with open(self.out_dir / '.lock', 'w') as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise RuntimeError(
                    f'another comparison works in {self.out_dir}, or a training '
                    'that it left behind: wait for it, or end it'
                ) from error
            os.set_inheritable(file.fileno(), True)
            yield

    def _run_job(self, job: Job, title: str, left: int) -> None:
        job.result.error = None
        job.work_dir.mkdir(parents=True, exist_ok=True)
        try:
            if not job.trained:
                self._train(job, f'{title}: training', left)
            self._test(job, f'{title}: testing', left)
        except Exception as error:  # the other systems have to go on
            job.result.error = str(error) or type(error).__name__
        finally:
            job.save()

    def _train(self, job: Job, title: str, left: int) -> None:
        job.cfg.merge_from_dict(self._needed_checkpoints(job.system))
        with atomic_path(job.config) as temporary:
            job.cfg.dump(temporary)
        command = ['train', job.config, '--work-dir', job.work_dir]
        if self.amp:
            command.append('--amp')
        if job.last_checkpoint:
            command.append('--resume')
            job.result = SystemResult(train_seconds=job.result.train_seconds, resumed=True)
        else:
            # the pointer may lead nowhere, if checkpoints were deleted: nothing is left to resume
            (job.work_dir / 'last_checkpoint').unlink(missing_ok=True)
            job.result = SystemResult()

        def keep_time(seconds: float) -> None:
            job.result.train_seconds = seconds
            job.save()

        self._run(job, command, title, left, keep_time)
        checkpoint = job.last_checkpoint
        if checkpoint is None:
            raise RuntimeError('the training left no checkpoint: its config needs a CheckpointHook')
        job.result.iterations = read_iterations(checkpoint)
        job.result.parameters = count_parameters(job.cfg)
        job.result.checkpoint = checkpoint.name
        job.save()

    def _test(self, job: Job, title: str, left: int) -> None:
        # a folder of its own: the script writes its config, too
        test_dir = job.work_dir / 'test'
        command = [
            'test',
            job.config,
            job.trained,
            '--work-dir',
            test_dir,
            '--out',
            job.predictions,
        ]
        self._run(job, command, title, left)
        job.result.metrics = json.loads((test_dir / 'test_results.json').read_text())

    def _needed_checkpoints(self, system: System) -> dict[str, str]:
        checkpoints = {}
        for option, name in system.checkpoint_options.items():
            other = self.jobs[name]
            if not other.trained:
                remedy = f': delete {other.work_dir} to train it again' if other.done else ''
                raise RuntimeError(f'needs the checkpoint of {name}, which is missing{remedy}')
            checkpoints[option] = str(other.trained.resolve())
        return checkpoints

    def _run(
        self,
        job: Job,
        command: list,
        title: str,
        left: int,
        keep_time: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        """Run a sub-command and show how far it is; the error of one that fails names its log."""
        log = job.work_dir / f'{command[0]}.log'
        offset = log.stat().st_size if log.exists() else 0
        known = [other.result.train_seconds for other in self.jobs.values() if other.done]
        before, start = job.result.train_seconds, time.monotonic()

        def progress() -> Text:
            elapsed = time.monotonic() - start
            rest = estimate_rest(known, before + elapsed, read_eta(log, offset), left)
            estimate = 'unknown' if rest is None else f'about {_duration(rest)}'
            return Text(f'{title} for {_duration(elapsed)}, {estimate} left in all, log {log}')

        def tick() -> None:
            keep_time(before + time.monotonic() - start)
            status.update(progress())

        if not self.console.is_terminal:  # where no status is shown
            self._say(str(progress()))
        with self.console.status(progress()) as status:
            try:
                code = self.run_script([*COMMAND, *map(str, command)], log, tick)
            finally:
                keep_time(before + time.monotonic() - start)
        if code:
            raise RuntimeError(f'{failure_reason(code, log, offset)} ({log})')

    def _say(self, text: str) -> None:
        self.console.print(text, markup=False)


def count_parameters(cfg: 'Config') -> int:
    """Elements of all parameters of a config's model, frozen ones included."""
    from mmdet.registry import MODELS
    from mmengine.registry import init_default_scope

    init_default_scope(cfg.get('default_scope', 'mmdet'))
    return sum(p.numel() for p in MODELS.build(cfg.model).parameters())


def read_iterations(checkpoint: Path) -> int:
    """The iteration that a checkpoint was written after."""
    from mmengine.runner import CheckpointLoader

    from mmcovid.checkpoints.guard import safe_checkpoints

    with safe_checkpoints():
        content = CheckpointLoader.load_checkpoint(str(checkpoint), 'cpu', logger='silent')
    return content['meta']['iter']


def estimate_rest(
    known: Sequence[float], elapsed: float, eta: float | None, left: int
) -> float | None:
    """Time until all systems are done, if those to come take as long as the others on average.

    Args:
        known (Sequence[float]): Seconds that each finished system took.
        elapsed (float): Seconds that the current one has taken so far.
        eta (float | None): Seconds that it still takes, as its log says.
        left (int): Systems to come after it.

    Returns:
        float | None: Seconds, or ``None`` while nothing is known.
    """
    if eta is not None:
        total = elapsed + eta
    elif known:
        total = max(mean(known), elapsed)
    else:
        return None
    return total - elapsed + left * mean([*known, total])


def _duration(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
