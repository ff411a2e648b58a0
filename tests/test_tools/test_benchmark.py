"""The table of trainings, of narrow models and small slices."""
import json
import runpy
import sys

import pytest


@pytest.mark.slow
def test_table_of_trainings(repo, tmp_path, monkeypatch, capsys):
    script = str(repo / 'tools/analysis_tools/benchmark.py')
    names = [f'one-shot_r18_fpn_{variant}_phantom' for variant in ('lstm2', 'attn')]
    configs = [str(repo / f'configs/phantom/{name}.py') for name in names]
    small = ['model.backbone.base_channels=8', 'model.neck.in_channels=[64]',
             'model.train_cfg.rpn_proposal.max_per_img=8', 'model.train_cfg.rcnn.sampler.num=8',
             'model.test_cfg.rpn.max_per_img=8', 'model.roi_head.roi_sequence.num_rois=2',
             'train_cfg.max_iters=7200']
    monkeypatch.setattr(sys, 'argv', [
        script, *configs, '--training', '--device', 'cpu', '--size', '64', '--rounds', '1',
        '--batch-sizes', '2', '--out', str(tmp_path / 'rows.json'), '--cfg-options', *small])
    runpy.run_path(script, run_name='__main__')
    printed = [line.split(' | ') for line in capsys.readouterr().out.splitlines()
               if line.startswith('| one-shot')]
    rows = json.loads((tmp_path / 'rows.json').read_text())
    assert [(row['config'], row['batch'], row['precision']) for row in rows] == [
        (name, '2+2', precision) for name in names for precision in ('full', 'mixed')]
    for line, row in zip(printed, rows, strict=True):
        assert line[0] == f'| {row["config"]}' and line[4] == '-'  # memory is that of a GPU
        assert float(line[3]) == round(row['ms'])
        assert row['hours'] == pytest.approx(7200 * row['ms'] / 3.6e6)


def test_several_configs_are_compared_by_training_only(repo, monkeypatch, capsys):
    script = str(repo / 'tools/analysis_tools/benchmark.py')
    monkeypatch.setattr(sys, 'argv', [script, 'a.py', 'b.py'])
    with pytest.raises(SystemExit):
        runpy.run_path(script, run_name='__main__')
    assert '--training only' in capsys.readouterr().err
