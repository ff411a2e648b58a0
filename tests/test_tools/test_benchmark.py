"""The table of trainings, of narrow models and small slices."""

import importlib.util
import json
import sys

import pytest


@pytest.fixture
def benchmark(repo):
    path = repo / 'tools/analysis_tools/benchmark.py'
    spec = importlib.util.spec_from_file_location('benchmark', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def time_once(functions, rounds, device):
    """Train once, and say that it took half a second."""
    for function in functions.values():
        function()
    return dict.fromkeys(functions, 0.5)


@pytest.mark.slow
def test_table_of_trainings(benchmark, repo, tmp_path, monkeypatch, capsys):
    names = [f'one-shot_r18_fpn_{variant}_phantom' for variant in ('lstm2', 'attn')]
    small = [
        'model.backbone.base_channels=8',
        'model.neck.in_channels=[64]',
        'model.train_cfg.rpn_proposal.max_per_img=8',
        'model.train_cfg.rcnn.sampler.num=8',
        'model.test_cfg.rpn.max_per_img=8',
        'model.roi_head.roi_sequence.num_rois=2',
        'train_cfg.max_iters=7200',
    ]
    monkeypatch.setattr(
        sys,
        'argv',
        [
            'benchmark.py',
            *(str(repo / f'configs/phantom/{name}.py') for name in names),
            '--training',
            '--device',
            'cpu',
            '--size',
            '64',
            '--batch-sizes',
            '2',
            '--out',
            str(tmp_path / 'rows.json'),
            '--cfg-options',
            *small,
        ],
    )
    monkeypatch.setattr(benchmark, 'time_in_turns', time_once)
    benchmark.main()
    rows = [(name, '2+2', precision) for name in names for precision in ('full', 'mixed')]
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith('|')]
    assert printed[2:] == [f'| {" | ".join(row)} | 500 | - | 1.0 |' for row in rows]
    assert [
        (row['config'], row['batch'], row['precision'])
        for row in json.loads((tmp_path / 'rows.json').read_text())
    ] == rows


def test_several_configs_are_compared_by_training_only(benchmark, monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', ['benchmark.py', 'a.py', 'b.py'])
    with pytest.raises(SystemExit):
        benchmark.main()
    assert '--training only' in capsys.readouterr().err
