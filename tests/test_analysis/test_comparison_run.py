"""The scheduling of a comparison; what stands for the scripts writes what they would."""

import fcntl
import json
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmcovid.analysis.comparison.run import Comparison, estimate_rest
from mmcovid.analysis.comparison.systems import System, with_seeds

CONFIG = """
randomness = dict(seed=0)
model = dict(type='FPN', in_channels=[4], out_channels=2, num_outs=1)
stage1 = None
max_iters = 2
"""
NUM_PARAMETERS = 4 * 2 + 2 + 2 * 2 * 9 + 2


class Scripts:
    """Trains and tests as the scripts do, without the work; fails as ``troubles`` says."""

    def __init__(self):
        self.calls = []
        self.troubles = {}

    def __call__(self, command, log, tick):
        assert command[:3] == [sys.executable, '-m', 'mmcovid.cli']
        script, config = command[3], Path(command[4])
        work_dir = Path(command[command.index('--work-dir') + 1])
        self.calls.append((script, config.stem, *command[5:]))
        tick()
        with open(log, 'a') as file:
            file.write('Iter(train) [1/2]  eta: 0:00:10  time: 1\n')
        trouble = self.troubles.get((script, config.stem))
        work_dir.mkdir(parents=True, exist_ok=True)
        if script == 'train' and trouble != 'no checkpoint':
            torch.save(dict(meta=dict(iter=2)), work_dir / 'iter_2.pth')
            (work_dir / 'last_checkpoint').write_text('/elsewhere/iter_2.pth')
        if trouble == 'error':
            log.write_text(log.read_text() + 'ValueError: no luck\n')
            return 1
        if isinstance(trouble, BaseException):
            raise trouble
        if script == 'test':
            (work_dir / 'test_results.json').write_text(json.dumps({'image/accuracy': 0.5}))
        return 0

    def take(self):
        """The calls so far, each as script and config, and forget them."""
        calls, self.calls = [call[:2] for call in self.calls], []
        return calls


@pytest.fixture
def scripts():
    return Scripts()


@pytest.fixture
def compare(tmp_path, scripts):
    """Make a comparison of the systems a, b and c, c being the second stage of a."""
    for name in 'abc':
        (tmp_path / f'{name}.py').write_text(CONFIG + f'name = {name!r}\n')
    systems = [
        System('a', tmp_path / 'a.py'),
        System('b', tmp_path / 'b.py', cfg_options={'max_iters': 3}),
        System('c', tmp_path / 'c.py', checkpoint_options={'stage1': 'a'}),
    ]

    def make(seeds=(), **kwargs):
        chosen = with_seeds(systems, seeds) if seeds else systems
        return Comparison(chosen, tmp_path / 'out', run=scripts, **kwargs)

    return make


def statuses(comparison):
    lines = (comparison.out_dir / 'comparison.md').read_text().splitlines()[2:]
    return [line.strip('| ').split(' | ')[-1] for line in lines]


def test_every_system_is_trained_and_tested(compare, scripts):
    comparison = compare()
    assert comparison.run() == {}
    assert [call[:2] for call in scripts.calls] == [
        (script, name) for name in 'abc' for script in ('train', 'test')
    ]
    assert not any('--resume' in call or '--amp' in call for call in scripts.calls)
    assert statuses(comparison) == ['done'] * 3
    result = comparison.jobs['a'].result
    assert (result.parameters, result.iterations) == (NUM_PARAMETERS, 2)
    assert result.train_seconds > 0 and result.metrics == {'image/accuracy': 0.5}


def test_options_and_checkpoints_reach_the_config(compare, scripts):
    comparison = compare(cfg_options={'model.out_channels': 3}, amp=True)
    comparison.run()
    configs = {name: Config.fromfile(job.config) for name, job in comparison.jobs.items()}
    assert [configs[name].max_iters for name in 'abc'] == [2, 3, 2]
    assert {config.model.out_channels for config in configs.values()} == {3}
    assert configs['c'].stage1 == str(comparison.jobs['a'].work_dir.resolve() / 'iter_2.pth')
    assert all(('--amp' in call) == (call[0] == 'train') for call in scripts.calls)


def test_what_is_done_is_not_repeated(compare, scripts):
    compare().run()
    scripts.take()
    again = compare()
    assert again.run() == {} and scripts.take() == []
    assert statuses(again) == ['done'] * 3
    assert again.plan() == '\n'.join(
        f'{name}: nothing, it is done ({job.system.config} in {job.work_dir})'
        for name, job in again.jobs.items()
    )


def test_changed_config_is_trained_anew(compare, scripts, tmp_path):
    compare().run()
    scripts.take()
    (tmp_path / 'b.py').write_text(CONFIG + 'lr = 1\n')
    compare().run()
    assert scripts.take() == [('train', 'b'), ('test', 'b')]
    (tmp_path / 'a.py').write_text(CONFIG + 'lr = 1\n')
    compare().run()  # with the first stage the second has changed
    assert scripts.take() == [(script, name) for name in 'ac' for script in ('train', 'test')]
    (tmp_path / 'a.py').write_text(CONFIG + "name = 'a'\n")
    compare().run()
    assert scripts.take() == []


def test_failure_does_not_stop_the_others(compare, scripts):
    scripts.troubles['train', 'a'] = 'error'
    comparison = compare()
    failed = comparison.run()
    log = comparison.jobs['a'].work_dir / 'train.log'
    assert failed == {
        'a': f'ValueError: no luck ({log})',
        'c': 'needs the checkpoint of a, which is missing',
    }
    assert scripts.take() == [('train', 'a'), ('train', 'b'), ('test', 'b')]
    assert statuses(comparison) == [f'failed: {failed["a"]}', 'done', f'failed: {failed["c"]}']

    scripts.troubles.clear()
    comparison = compare()
    assert comparison.run() == {}
    assert '--resume' in scripts.calls[0]  # as far as it came
    assert scripts.take() == [(script, name) for name in 'ac' for script in ('train', 'test')]
    assert statuses(comparison) == ['done, resumed', 'done', 'done']


def test_failed_test_does_not_cost_the_training(compare, scripts):
    scripts.troubles['test', 'a'] = 'error'
    comparison = compare()
    assert list(comparison.run(['a'])) == ['a']
    assert comparison.jobs['a'].result.figures()['parameters'] == NUM_PARAMETERS
    scripts.troubles.clear()
    scripts.take()
    comparison = compare()
    assert comparison.jobs['a'].next_step == 'test'
    comparison.run(['a'])
    assert scripts.take() == [('test', 'a')]
    assert statuses(comparison) == ['done', 'not run', 'not run']


def test_interrupted_training_is_resumed_with_its_time(compare, scripts):
    scripts.troubles['train', 'a'] = KeyboardInterrupt()
    comparison = compare()
    with pytest.raises(KeyboardInterrupt):
        comparison.run()
    assert statuses(comparison) == ['unfinished', 'not run', 'not run']
    assert scripts.take() == [('train', 'a')]

    file = comparison.jobs['a'].work_dir / 'result.json'
    file.write_text(json.dumps(json.loads(file.read_text()) | dict(train_seconds=100.0)))
    scripts.troubles.clear()
    comparison = compare()
    assert comparison.jobs['a'].next_step == 'resume and test'
    comparison.run(['a'])
    assert '--resume' in scripts.calls[0]
    assert 100 < comparison.jobs['a'].result.train_seconds < 110


def test_pointer_to_a_deleted_checkpoint_is_not_resumed(compare, scripts):
    scripts.troubles['train', 'a'] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        compare().run()
    work_dir = compare().jobs['a'].work_dir
    (work_dir / 'iter_2.pth').unlink()
    scripts.troubles.clear()
    scripts.take()
    comparison = compare()
    comparison.run(['a'])
    assert '--resume' not in scripts.calls[0]
    assert statuses(comparison)[0] == 'done'


def test_training_without_a_checkpoint(compare, scripts):
    scripts.troubles['train', 'b'] = 'no checkpoint'
    assert 'CheckpointHook' in compare().run(['b'])['b']


def test_missing_first_stage_of_a_finished_system(compare):
    comparison = compare()
    comparison.run(['a'])
    (comparison.jobs['a'].work_dir / 'iter_2.pth').unlink()
    assert 'delete' in compare().run()['c']


def test_only_brings_what_is_needed(compare, scripts):
    compare().run(['c'])
    assert scripts.take() == [(script, name) for name in 'ac' for script in ('train', 'test')]
    with pytest.raises(ValueError, match="no system 'd'; there are: a, b, c"):
        compare().run(['d'])


def test_one_comparison_at_a_time(compare):
    comparison = compare()
    comparison.out_dir.mkdir()
    with open(comparison.out_dir / '.lock', 'w') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(RuntimeError, match='another comparison'):
            comparison.run()
    assert comparison.run() == {}


def test_several_seeds(compare, scripts):
    comparison = compare(seeds=[0, 1])
    assert comparison.run(['c']) == {}
    assert scripts.take() == [(script, name) for name in 'acac' for script in ('train', 'test')]
    assert statuses(comparison) == ['2 done', '2 not run', '2 done']
    configs = {
        name: Config.fromfile(job.config) for name, job in comparison.jobs.items() if job.done
    }
    assert {name: config.randomness.seed for name, config in configs.items()} == {
        'a, seed 0': 0,
        'c, seed 0': 0,
        'a, seed 1': 1,
        'c, seed 1': 1,
    }
    assert configs['c, seed 1'].stage1 == str(comparison.jobs['a, seed 1'].trained.resolve())
    dumps = [f'c={comparison.jobs[f"c, seed {seed}"].predictions}' for seed in (0, 1)]
    assert comparison.predictions(['c', 'b']) == dumps
    with pytest.raises(ValueError, match="no system 'a, seed 0'; there are: a, b, c"):
        comparison.select(['a, seed 0'])


def test_bad_configs(compare, tmp_path):
    (tmp_path / 'b.py').write_text('x = 1 /')
    with pytest.raises(ValueError, match=r'b: the config .*b\.py cannot be read'):
        compare()
    (tmp_path / 'b.py').write_text((tmp_path / 'a.py').read_text())
    same = [System(name, tmp_path / 'a.py') for name in ('one', 'two')]
    with pytest.raises(ValueError, match='two is the same config as one'):
        Comparison(same, tmp_path / 'out')


@pytest.mark.parametrize(
    'known, elapsed, eta, left, expected',
    [
        ([], 10, None, 3, None),
        ([], 10, 20, 3, 20 + 3 * 30),
        ([100, 200], 10, None, 2, 140 + 2 * 150),
        ([100, 200], 10, 50, 2, 50 + 2 * 120),
        ([100], 400, None, 0, 0),  # slower than expected
    ],
)
def test_estimate(known, elapsed, eta, left, expected):
    rest = estimate_rest(known, elapsed, eta, left)
    assert rest == (None if expected is None else pytest.approx(expected))
