import sys

import pytest

from mmcovid.analysis.comparison.scripts import failure_reason, read_eta, run_script

ETA = 'Iter(train) [ 20/600]  lr: 1e-4  eta: 0:04:23  time: 2.4\n'


def test_exit_status_and_output(tmp_path):
    log = tmp_path / 'log'
    log.write_text('first\n')
    command = [sys.executable, '-c', 'import sys; print("out"); sys.exit("error")']
    assert run_script(command, log, lambda: None) == 1
    assert sorted(log.read_text().split()) == ['error', 'first', 'out']


def test_interruption_ends_the_script(tmp_path):
    log = tmp_path / 'log'
    marker = tmp_path / 'still_here'
    code = f'import time; print("up", flush=True); time.sleep(3); open({str(marker)!r}, "w")'

    def interrupt():
        if 'up' in log.read_text():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_script([sys.executable, '-c', code], log, interrupt, interval=0.05)
    # it was waited for, so what it has not written by now it never will
    assert not marker.exists()


@pytest.mark.parametrize(
    'text, expected',
    [
        ('', None),
        (ETA, 263),
        (ETA + 'Iter(train) [40/600]  lr: 1e-4  eta: 1 day, 2:00:01  time: 2.4\n', 93_601),
        (ETA + 'Iter(train) [40/600]  lr: 1e-4  eta: 10 days, 0:00:00  time: 2.4\n', 864_000),
        # a validation's end is not the training's
        (ETA + 'Iter(val) [ 50/184]    eta: 0:00:07  time: 0.1\n', 263),
        ('Iter(test) [ 50/184]    eta: 0:00:07  time: 0.1\n', 7),
    ],
)
def test_eta(tmp_path, text, expected):
    log = tmp_path / 'log'
    log.write_text(text)
    assert read_eta(log) == expected


def test_former_runs_do_not_count(tmp_path):
    log = tmp_path / 'log'
    log.write_text(ETA + 'ValueError: then\n')
    offset = log.stat().st_size
    assert read_eta(log, offset) is None
    assert failure_reason(1, log, offset) == 'exit status 1'
    assert read_eta(tmp_path / 'missing') is None


@pytest.mark.parametrize(
    'code, text, expected',
    [
        (-9, 'ValueError: before\n', 'ended by signal 9'),
        (1, 'Traceback\n  in f\nValueError: bad\n[W] leaked a semaphore\n', 'ValueError: bad'),
        (1, 'torch.OutOfMemoryError: no memory\n', 'torch.OutOfMemoryError: no memory'),
        (1, 'there is no config x.py\n\n', 'there is no config x.py'),
        (1, 'KeyError: ' + 'x' * 1000, ('KeyError: ' + 'x' * 1000)[:160]),
    ],
)
def test_failure_reason(tmp_path, code, text, expected):
    log = tmp_path / 'log'
    log.write_text(text)
    assert failure_reason(code, log) == expected
