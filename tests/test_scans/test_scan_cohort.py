import csv
import os
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest
import SimpleITK as sitk
from cohort_utils import MortalPredictor
from no_stack import run_without_stack

from mmcovid.scans import Scan, Settings, run_scans

pytest.importorskip('distributed')

import dask  # noqa: E402
from distributed import Client  # noqa: E402

from mmcovid.scans import cohort  # noqa: E402

NAMES = ('a', 'b', 'c', 'd', 'once')


@pytest.fixture
def scans(tmp_path):
    """Volumes, and one of labels."""
    labels = np.random.default_rng(0).integers(0, 4, (3, 16, 16)).astype(np.uint8)
    for name in (*NAMES, 'always', 'labels'):
        image = sitk.GetImageFromArray(labels if name == 'labels' else labels.astype(np.int16))
        sitk.WriteImage(image, str(tmp_path / f'{name}.nrrd'))
    return tmp_path


@pytest.fixture(scope='module')
def client():
    """A worker that is a thread of this process: quick, and cannot be killed."""
    with Client(processes=False, n_workers=1, threads_per_worker=2, dashboard_address=None) as made:
        yield made


def paths_of(folder, names):
    return [folder / f'{name}.nrrd' for name in names]


def visible(out):
    return sorted(path.name for path in out.iterdir() if path.name != '.summary.lock')


def table(out):
    with open(out / 'summary.csv', newline='') as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_killed_workers_lose_and_double_nothing(scans):
    load = partial(MortalPredictor, scans / 'labels.nrrd')
    (scans / 'died').touch()
    alone = run_scans(load(), paths_of(scans, NAMES), scans / 'alone', show_progress=False)
    (scans / 'died').unlink()
    (scans / 'loads').unlink()
    before = dict(os.environ)
    with cohort.start_workers(2) as client:
        rows = cohort.run_cohort(
            client, load, paths_of(scans, (*NAMES, 'always')), scans / 'out', show_progress=False
        )
    assert dict(os.environ) == before
    assert rows[:-1] == alone
    assert rows[-1]['scan'] == 'always' and rows[-1]['status'] == 'failed'
    assert '4 workers died one after the other' in rows[-1]['reason']
    assert visible(scans / 'out') == [*sorted(NAMES), 'summary.csv']
    assert [line for line in table(scans / 'out') if line['scan'] != 'always'] == (
        table(scans / 'alone')
    )
    assert [line['scan'] for line in table(scans / 'out')] == sorted((*NAMES, 'always'))
    loads = (scans / 'loads').read_text().split()
    assert len(set(loads)) == len(loads) <= 2 + 1 + 4  # once in a process


def test_resume_on_workers(scans, client):
    load, out = partial(MortalPredictor, scans / 'labels.nrrd'), scans / 'out'
    rows = cohort.run_cohort(client, load, paths_of(scans, 'ab'), out, show_progress=False)
    assert not any('kept' in row for row in rows)
    rows = cohort.run_cohort(
        client, load, paths_of(scans, 'abc'), out, Settings(resume=True), show_progress=False
    )
    assert [row.get('kept', False) for row in rows] == [True, True, False]
    rows = cohort.run_cohort(client, load, paths_of(scans, 'cd'), out, show_progress=False)
    assert [row['status'] for row in rows] == ['failed', 'ok']
    assert 'exists already' in rows[0]['reason']
    assert [line['status'] for line in table(out)] == ['ok'] * 4


def test_a_folder_that_a_dead_worker_left_is_taken(scans, client, monkeypatch):
    """A worker may die between writing a folder and telling of it: its scan is done again."""
    run_scan = cohort.run_scan

    def run_twice(*args, **kwargs):
        assert not run_scan(*args, **kwargs).kept
        return run_scan(*args, **kwargs)

    monkeypatch.setattr(cohort, 'run_scan', run_twice)
    load = partial(MortalPredictor, scans / 'labels.nrrd')
    (row,) = cohort.run_cohort(
        client, load, paths_of(scans, 'a'), scans / 'out', show_progress=False
    )
    assert row['status'] == 'ok' and 'kept' not in row


def test_a_model_that_cannot_be_loaded_ends_the_run(scans, client):
    load = partial(MortalPredictor, scans / 'absent.nrrd')
    with pytest.raises((OSError, ValueError), match='absent.nrrd'):
        cohort.run_cohort(client, load, paths_of(scans, 'ab'), scans / 'out', show_progress=False)
    assert not (scans / 'out').exists()


def test_a_lost_scheduler_is_told(scans, client):
    future = client.submit(time.sleep, 0.2, pure=False)
    future.cancel()
    with pytest.raises(ConnectionError, match='--resume'):
        cohort._outcome(future, 'a', Scan('a.nrrd'), scans, Settings())


def test_an_error_of_a_task_is_a_failure(scans, client):
    future = client.submit(int, 'x', pure=False)
    outcome = cohort._outcome(future, 'a', Scan('a.nrrd'), scans, Settings())
    assert outcome.line['status'] == 'failed' and 'invalid literal' in outcome.line['reason']


@pytest.mark.parametrize('kind', ['address', 'file'])
def test_no_scheduler(tmp_path, kind):
    scheduler = 'tcp://127.0.0.1:1'
    if kind == 'file':
        scheduler = str(tmp_path / 'scheduler.json')
        (tmp_path / 'scheduler.json').write_text('{"address": "tcp://127.0.0.1:1"}')
    with (
        dask.config.set({'distributed.comm.timeouts.connect': '0.2s'}),
        pytest.raises(ConnectionError, match='no Dask scheduler answers'),
        cohort.connect(scheduler),
    ):
        pass


@pytest.mark.slow
def test_workers_import_no_stack_and_share_the_cores(tmp_path):
    script = tmp_path / 'script.py'
    script.write_text("""
import os, sys
from importlib import import_module
from dask.system import CPU_COUNT
from mmcovid.scans.cohort import start_workers

if __name__ == '__main__':
    for given in ({}, dict(OMP_NUM_THREADS='7')):
        os.environ.update(given)
        with start_workers(1) as client:
            client.run(import_module, 'mmcovid.cli.infer')
            (modules,) = client.run(lambda: list(sys.modules)).values()
            assert not {'torch', 'mmcv', 'mmengine', 'mmdet'} & set(modules)
            (threads,) = client.run(os.getenv, 'OMP_NUM_THREADS').values()
            assert threads == given.get('OMP_NUM_THREADS', str(CPU_COUNT))
""")
    environment = {key: value for key, value in os.environ.items() if key != 'OMP_NUM_THREADS'}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr


def test_dask_is_imported_only_for_it():
    done = run_without_stack(
        'import mmcovid.cli.infer, mmcovid.scans.run\n'
        'assert not {"dask", "distributed"} & set(sys.modules)\n'
        'sys.modules["dask"] = None\n'
        'import mmcovid.scans.cohort'
    )
    assert done.stderr.splitlines()[-1] == (
        'ImportError: distributed is not installed; to mend it, run: pip install distributed'
    )
