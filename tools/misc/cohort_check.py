"""Does "mmcovid infer --workers" lose or double a scan when its workers are killed?

Small phantom scans are read twice: by one process undisturbed, and by workers of which one is
killed every few seconds, at random. Both have to give the same folders, numbers, masks and lines.
Then the same scans are read by one worker and by two, in turns, and lines are put into a
summary.csv. Read the ratios rather than the seconds, where others use the machine.
"""

import argparse
import csv
import json
import random
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from statistics import median

import psutil

from mmcovid.data_tools.phantom.dataset import SplitSize, write_phantom_set
from mmcovid.deployment.onnx_predictor import OnnxPredictor
from mmcovid.scans.cohort import run_cohort, start_workers
from mmcovid.scans.summary import append_lines, settle, summary_line
from mmcovid.utils.files import sha256


def parse_args(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('weights', help='file of mmcovid export, .onnx')
    parser.add_argument('out', type=Path, help='folder to work in; it must not exist')
    parser.add_argument('--scans', type=int, default=200, help='(default: %(default)s)')
    parser.add_argument('--slices', type=int, default=4, help='of each (default: %(default)s)')
    parser.add_argument('--size', type=int, default=64, help='in pixels (default: %(default)s)')
    parser.add_argument('--workers', type=int, default=2, help='(default: %(default)s)')
    parser.add_argument(
        '--kill-every',
        type=float,
        default=20,
        help='seconds between two kills, in the mean (default: %(default)s)',
    )
    parser.add_argument('--seed', type=int, default=0, help='of phantom and kills')
    parser.add_argument(
        '--rounds', type=int, default=3, help='timed runs of each (default: %(default)s)'
    )
    parser.add_argument(
        '--timed-scans', type=int, default=40, help='of each such run (default: %(default)s)'
    )
    parser.add_argument(
        '--lines', type=int, default=10_000, help='of the summary (default: %(default)s)'
    )
    return parser.parse_args(argv)


def write_scans(args):
    """Paths of phantom scans."""
    least = dict(train=SplitSize(1, 1), val=SplitSize(1, 1), test=SplitSize(1, 1))
    patients = SplitSize(-(-args.scans // 3), args.slices)
    write_phantom_set(args.out / 'phantom', least, least, patients, args.size, args.seed)
    return sorted((args.out / 'phantom' / 'scans').glob('*.nii.gz'))[: args.scans]


def start_command(args, paths, out, *options):
    """The command as a process; what it prints goes to a file beside ``out``."""
    command = [sys.executable, '-m', 'mmcovid.cli', 'infer', *map(str, paths), *options]
    with open(f'{out}.log', 'w') as log:
        return subprocess.Popen(
            [*command, '--weights', args.weights, '--out', str(out)], stdout=log, stderr=log
        )


def kill_workers(process, begun, every, rng):
    """Kill a worker of a command now and then, from when its folder is there until it ends.

    Returns:
        int: How many were killed.
    """
    killed = 0
    while process.poll() is None and not begun.exists():
        time.sleep(0.1)
    while process.poll() is None:
        time.sleep(rng.uniform(0, 2 * every))
        try:
            children = psutil.Process(process.pid).children()
            workers = [child for child in children if 'spawn_main' in ' '.join(child.cmdline())]
            if workers:
                rng.choice(workers).kill()
                killed += 1
        except psutil.NoSuchProcess:
            continue
    return killed


def read_run(out):
    """What a run has made: folders with numbers and hashes of masks, and lines, sorted."""
    folders = {}
    for path in sorted(out.iterdir()):
        if path.name in ('summary.csv', '.summary.lock'):
            continue
        results = json.loads((path / 'results.json').read_text())
        del results['created']
        masks = {file.name: sha256(file) for file in sorted(path.glob('*.nii.gz'))}
        folders[path.name] = results, masks
    with open(out / 'summary.csv', newline='') as file:
        return folders, list(csv.DictReader(file))


def check_kills(args, paths):
    """Whether killed workers change anything; tell how many were killed."""
    alone, disturbed = args.out / 'alone', args.out / 'disturbed'
    if start_command(args, paths, alone).wait():
        raise SystemExit(f'error: the undisturbed run failed, see {alone}.log')
    process = start_command(args, paths, disturbed, '--workers', str(args.workers))
    killed = kill_workers(process, disturbed, args.kill_every, random.Random(args.seed))
    (folders, lines), (expected, expected_lines) = read_run(disturbed), read_run(alone)
    faults = [
        what
        for what, wrong in (
            ('exit status', process.returncode != 0),
            (
                'scans with a folder',
                len(expected) != len(paths) or folders.keys() != expected.keys(),
            ),
            ('scans with a line', sorted(line['scan'] for line in lines) != sorted(expected)),
            ('numbers or masks', folders != expected),
            ('lines', lines != expected_lines),
        )
        if wrong
    ]
    print(
        f'{len(paths)} scans, {args.workers} workers, {killed} killed: {len(folders)} folders, '
        f'{len(lines)} lines; {"differ: " + ", ".join(faults) if faults else "all as undisturbed"}'
    )
    return not faults


def measure_speed(args, paths):
    """Print seconds of all scans by number of workers, which take turns."""
    load = partial(OnnxPredictor, args.weights, threads=1)
    seconds = {1: [], 2: []}
    for number in range(args.rounds):
        for workers, times in seconds.items():
            out = args.out / f'speed_{number}_{workers}'
            with start_workers(workers) as client:
                warm = run_cohort(client, load, paths[:4], f'{out}_warm', show_progress=False)
                start = time.perf_counter()
                rows = run_cohort(client, load, paths, out, show_progress=False)
                times.append(time.perf_counter() - start)
            if any(row['status'] != 'ok' for row in warm + rows):
                raise SystemExit(f'error: a scan failed without being killed, see {out}')
    ratios = ', '.join(f'{one / two:.2f}' for one, two in zip(*seconds.values()))
    print(
        f'{len(paths)} scans: {median(seconds[1]):.1f} s by 1 worker, {median(seconds[2]):.1f} s '
        f'by 2; ratios of the rounds {ratios}'
    )


def measure_summary(args):
    """Print what lines of the summary cost, added one by one as scans are read."""
    results = json.loads(next((args.out / 'alone').glob('*/results.json')).read_text())
    out = args.out / 'summary'
    start = time.perf_counter()
    for number in range(args.lines):
        append_lines(out, [summary_line(f'scan_{number:05d}', results)])
    appended = time.perf_counter() - start
    settle(out)
    print(
        f'{args.lines} lines: {appended:.1f} s, and {time.perf_counter() - start - appended:.1f} s '
        'to settle them'
    )


def main(argv=None):
    args = parse_args(argv)
    args.out.mkdir(parents=True)
    paths = write_scans(args)
    good = check_kills(args, paths)
    measure_speed(args, paths[: args.timed_scans])
    measure_summary(args)
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())
