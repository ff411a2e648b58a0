"""Is anything lost when a training is killed, again and again?

A small one-shot model is trained on phantom slices, once undisturbed, and then again by processes
that are sent SIGKILL at random: every second one while it writes a checkpoint, the others at any
moment. Each is followed by one that resumes, until the training is done. Then all tensors of model
and optimiser have to be those of the undisturbed training, and the next training begins.

Trainings are forked from this process, so that none has to import the stack. They save after each
iteration, validate after every tenth, and have a process that loads data. The text of the config in
their checkpoints is not laid out, which would take most of the time.
"""

import argparse
import gc
import multiprocessing
import os
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import mmdet.apis  # noqa: F401
import psutil
import torch
import torch._dynamo  # noqa: F401
import yapf.yapflib.yapf_api
from mmengine.config import Config

import mmcovid.engine  # noqa: F401
from mmcovid import config_path
from mmcovid.checkpoints.whole import POINTER, is_whole, numbered_checkpoints
from mmcovid.cli import main as run_command
from mmcovid.data_tools.phantom.dataset import SplitSize, write_phantom_set

CHANNELS = 16
NAMES = 'iter_{}.pth'
HALF_WRITTEN = '.*.tmp.pth'
CHECKPOINTS_OF_A_LIFE = 3  # a process is killed when it could have saved so often, at the latest
PATIENCE = 10  # seconds that the processes of a killed training may outlive it


def parse_args(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('out', type=Path, help='folder to work in; it must not exist')
    parser.add_argument('--kills', type=int, default=200, help='(default: %(default)s)')
    parser.add_argument(
        '--iterations', type=int, default=20, help='of a training (default: %(default)s)'
    )
    parser.add_argument('--seed', type=int, default=0, help='of the kills')
    return parser.parse_args(argv)


def write_config(path, iterations):
    """A small one-shot model, and augmentations that draw random numbers."""
    config = Config.fromfile(config_path('one-shot_r18_fpn_lstm2_phantom'))
    sets = (config.train_dataloader.dataset, config.val_dataloader.dataset)
    pipelines = [sets[0].seg.pipeline, sets[0].cls.pipeline, sets[1].pipeline]
    for transform in (transform for pipeline in pipelines for transform in pipeline):
        if transform.type == 'Resize':
            transform.scale = (64, 64)
    for pipeline in pipelines[:2]:
        pipeline.insert(-1, dict(type='RandomFlip', prob=0.5))
    config.merge_from_dict(
        {
            'model.backbone.base_channels': 8,
            'model.backbone.stem_channels': 8,
            'model.neck.in_channels': [64],
            'model.neck.out_channels': CHANNELS,
            'model.rpn_head.in_channels': CHANNELS,
            'model.rpn_head.feat_channels': CHANNELS,
            'model.roi_head.bbox_roi_extractor.out_channels': CHANNELS,
            'model.roi_head.mask_roi_extractor.out_channels': CHANNELS,
            'model.roi_head.bbox_head.in_channels': CHANNELS,
            'model.roi_head.mask_head.in_channels': CHANNELS,
            'model.roi_head.mask_head.conv_out_channels': CHANNELS,
            'model.attention_head.in_channels': CHANNELS,
            'model.attention_head.lstm_channels': CHANNELS,
            'train_dataloader.num_workers': 1,
            'val_dataloader.num_workers': 0,
            'val_dataloader.persistent_workers': False,
            'train_cfg.max_iters': iterations,
            'train_cfg.val_interval': 10,
            'default_hooks.checkpoint.interval': 1,
            'default_hooks.checkpoint.max_keep_ckpts': 2,
        }
    )
    config.dump(path)


def start(config, work_dir):
    """A process that trains, or goes on with what is in the folder."""

    def train():
        os.setsid()  # by its session what it leaves behind is found
        with open(f'{work_dir}.log', 'a') as log:
            os.dup2(log.fileno(), sys.stdout.fileno())
            os.dup2(log.fileno(), sys.stderr.fileno())
        run_command(['train', config, '--work-dir', work_dir, '--resume'])

    process = multiprocessing.get_context('fork').Process(target=train)
    process.start()
    return process


def wait_until(condition, process):
    """Wait for something, as long as a process lives; tell whether it came."""
    while process.is_alive():
        if condition():
            return True
        time.sleep(0.0005)
    return False


def half_written(work_dir):
    return next(Path(work_dir).glob(HALF_WRITTEN), None)


def train_undisturbed(config, work_dir):
    """Train; the seconds to the first checkpoint, between two, and of the writing of one."""
    begun = time.perf_counter()
    process = start(config, work_dir)
    times = []
    while wait_until(lambda: half_written(work_dir), process):
        written = time.perf_counter()
        wait_until(lambda: not half_written(work_dir), process)
        times.append((written, time.perf_counter()))
    process.join()
    if process.exitcode or len(times) < 2:
        raise SystemExit(f'error: the undisturbed training failed, see {work_dir}.log')
    writing = sum(end - start for start, end in times) / len(times)
    return times[0][0] - begun, (times[-1][0] - times[0][0]) / (len(times) - 1), writing


def wait_for_moment(process, work_dir, in_writing, seconds, rng):
    """Wait until a process is to be killed."""
    to_first, between, writing = seconds
    if not in_writing:
        process.join(rng.uniform(0, to_first + CHECKPOINTS_OF_A_LIFE * between))
        return
    for _ in range(rng.randrange(1, CHECKPOINTS_OF_A_LIFE)):
        wait_until(lambda: not half_written(work_dir), process)
        wait_until(lambda: half_written(work_dir), process)
    process.join(rng.uniform(0, writing))


def named_checkpoint(work_dir):
    pointer = Path(work_dir, POINTER)
    return Path(pointer.read_text()) if pointer.is_file() else None


def examine(work_dir, before):
    """Where a kill hit, and what it cost.

    Args:
        work_dir (str): Folder of the training.
        before (int): Iterations that were saved when the process began.

    Returns:
        tuple[str, list[str], int]: The place, faults, and iterations that are saved now.
    """
    whole = [path for path in numbered_checkpoints(Path(work_dir), NAMES) if is_whole(path)]
    torn = [path for path in Path(work_dir).glob('[!.]*.pth') if not is_whole(path)]
    named = named_checkpoint(work_dir)
    saved = max((int(path.stem.split('_')[1]) for path in whole), default=0)
    faults = [
        what
        for what, wrong in (
            ('a checkpoint that is no whole file', torn),
            ('last_checkpoint names no whole file', named and not is_whole(named)),
            ('checkpoints were lost', saved < before),
        )
        if wrong
    ]
    if half_written(work_dir):
        place = 'in the writing of a file'
    elif whole and (named is None or named.name != whole[0].name):
        place = 'between a file and last_checkpoint'
    else:
        place = 'elsewhere'
    return place, faults, saved


def end_session(session):
    """Wait for the processes of a killed training; tell whether they ended by themselves."""

    def left():
        return [each for each in psutil.pids() if each != session and _session(each) == session]

    deadline = time.monotonic() + PATIENCE
    while left() and time.monotonic() < deadline:
        time.sleep(0.01)
    return not left()


def _session(pid):
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


def differing(path, expected):
    """How many tensors of model and optimiser differ, and of how many."""
    parts = []
    for file in (path, expected):
        content = torch.load(file, weights_only=False)
        optimizer = content['optimizer']['state']
        parts.append(
            content['state_dict']
            | {(i, name): value for i in optimizer for name, value in optimizer[i].items()}
        )
    found, wanted = parts
    same = sum(name in found and torch.equal(found[name], wanted[name]) for name in wanted)
    return len(wanted) - same, len(wanted)


def main(argv=None):
    args = parse_args(argv)
    args.out.mkdir(parents=True)
    os.chdir(args.out)  # configs of the phantom look for it below
    torch.set_num_threads(1)
    yapf.yapflib.yapf_api.FormatCode = lambda text, **_: (text, True)
    gc.freeze()  # collections in the trainings leave alone what they share
    sizes = dict.fromkeys(('train', 'val', 'test'), SplitSize(2, 2))
    write_phantom_set('data/phantom', sizes, sizes, SplitSize(0, 1), size=64, show_progress=False)
    config, last = 'small.py', NAMES.format(args.iterations)
    write_config(config, args.iterations)
    seconds = train_undisturbed(config, 'undisturbed')
    print(
        f'undisturbed: {seconds[0]:.2f} s to the first checkpoint, {seconds[1]:.2f} s between two, '
        f'{seconds[2] * 1000:.0f} ms to write one'
    )

    rng = random.Random(args.seed)
    places, faults = Counter(), Counter()
    kills = trainings = compared = 0
    while kills < args.kills:
        work_dir, saved, done = f'training_{trainings}', 0, False
        while not done:
            process = start(config, work_dir)
            if kills < args.kills:
                wait_for_moment(process, work_dir, kills % 2 == 0, seconds, rng)
                process.kill()
            process.join()
            done = process.exitcode == 0
            if process.exitcode == -signal.SIGKILL:
                kills += 1
                if not end_session(process.pid):
                    faults['processes outlived a training'] += 1
                place, found, saved = examine(work_dir, saved)
                places[place] += 1
                faults.update(found)
            elif not done:
                raise SystemExit(f'error: a resumed training failed, see {work_dir}.log')
        trainings += 1
        wrong, of = differing(f'{work_dir}/{last}', f'undisturbed/{last}')
        compared += of
        if wrong:
            faults['tensors differ'] += wrong
        print(f'{kills} kills, {trainings} trainings: {dict(places)}; {dict(faults)}', flush=True)
    told = ', '.join(f'{name}: {number}' for name, number in places.most_common())
    print(
        f'{kills} kills ({told}), {kills} resumes, {trainings} trainings, {compared} tensors '
        f'compared; faults: {dict(faults) or "none"}'
    )
    return 1 if faults else 0


if __name__ == '__main__':
    sys.exit(main())
