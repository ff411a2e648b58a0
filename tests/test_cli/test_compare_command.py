import csv
import json
import os

import pytest
from mmengine.config import Config
from predictions_utils import simulate, write_dump, write_table
from tools_utils import CONFIG, TOY

from mmcovid.analysis.comparison.run import Comparison
from mmcovid.analysis.comparison.systems import read_systems
from mmcovid.analysis.evaluation import Settings
from mmcovid.cli import compare as command


@pytest.fixture
def compare(repo, tmp_path, monkeypatch):
    """The main function of the script; the working folder is a fresh one with a toy config."""
    monkeypatch.setattr(command.signal, 'signal', lambda *args: None)
    (tmp_path / 'toy_of_the_tools_test.py').write_text(TOY)
    (tmp_path / 'toy.py').write_text(CONFIG)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv('PYTHONPATH', f'{tmp_path}{os.pathsep}{repo}')
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    monkeypatch.chdir(tmp_path)
    return command.main


@pytest.mark.slow
def test_the_real_scripts(compare, capsys):
    compare(['toy.py', '--out', 'out'])
    with open('out/comparison.csv', newline='') as file:
        (row,) = csv.DictReader(file)
    assert (row['image/accuracy'], row['parameters'], row['iterations']) == ('0.06', '1', '2')
    assert float(row['train_seconds']) > 0 and row['status'] == 'done'
    printed = capsys.readouterr().out
    assert '[1/1] toy: training' in printed and '| toy | 1 |' in printed

    compare(['toy.py', '--out', 'out'])
    assert 'training' not in capsys.readouterr().out.replace('training time', '')


def test_failures_end_the_script_with_an_error(compare, monkeypatch):
    monkeypatch.setattr(Comparison, 'run', lambda *args: {'toy': 'no luck (train.log)'})
    Comparison(read_systems(['toy.py']), 'out').write_table()
    with pytest.raises(SystemExit, match='1 failed:\ntoy: no luck'):
        compare(['toy.py', '--out', 'out'])


def test_dry_run(compare, tmp_path, capsys):
    compare(['toy.py', '--out', 'out', '--dry-run', '--cfg-options', 'train_cfg.max_iters=4'])
    assert capsys.readouterr().out.startswith('toy: train and test (toy.py in out/toy-')
    assert not (tmp_path / 'out').exists()


def test_errors_are_one_line(compare):
    with pytest.raises(SystemExit, match='error: there is no file nothing.py'):
        compare(['nothing.py'])
    with pytest.raises(SystemExit, match="error: there is no system 'x'"):
        compare(['toy.py', '--only', 'x'])


def test_models_of_others_stand_in_the_report(compare, monkeypatch, tmp_path):
    entries = simulate(6, 2)
    ours = write_dump(tmp_path / 'ours.pkl', entries)
    write_table(tmp_path / 'theirs.csv', entries)
    monkeypatch.setattr(Comparison, 'run', lambda *args: {})
    monkeypatch.setattr(Comparison, 'predictions', lambda *args: [f'toy={ours}'])
    monkeypatch.setattr(command, 'Settings', lambda: Settings(rounds=20, gallery=0))
    Comparison(read_systems(['toy.py']), 'out').write_table()
    compare(['toy.py', '--out', 'out', '--report', 'toy', '--others', 'them=theirs.csv'])
    report = json.loads((tmp_path / 'out/report/report.json').read_text())
    assert list(report['figures']['slice']) == ['toy', 'them']
    with pytest.raises(SystemExit, match='error: none.csv: no such file'):
        compare(['toy.py', '--out', 'out', '--report', 'toy', '--others', 'them=none.csv'])
    with pytest.raises(SystemExit):
        compare(['toy.py', '--others', 'them=theirs.csv'])


def test_shipped_list(repo):
    systems = read_systems([repo / 'configs/phantom/comparison.yml'])
    assert len(systems) > 1
    for system in systems:
        config = Config.fromfile(system.config)
        for option in system.checkpoint_options:
            node = config
            for key in option.split('.'):
                assert key in node  # what it overrides is there
                node = node[key]
