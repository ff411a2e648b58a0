"""Does a model read the lungs or the scanner? Its accuracy without lungs, and with lungs only.

The class-labelled slices of the test set are predicted three times: whole, with the
lungs blanked, with all but the lungs blanked. A model that reads the lungs falls to
the share of the largest class without them and keeps most of its accuracy with them
alone; one that has learnt a shortcut is as good without.
"""
import argparse
import os
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

import numpy as np
from mmengine.config import Config

from mmcovid.analysis.evaluation import Settings, compute, load_models
from mmcovid.checkpoints.guard import safe_checkpoints
from mmcovid.cli.arguments import make_parser
from mmcovid.cli.runner import add_common_arguments, build_runner, load_config
from mmcovid.evaluation import DumpSlices
from mmcovid.models import RegionDataPreprocessor
from mmcovid.utils.files import write_json, write_text

#: What is shown to the model, and the region that is kept for it.
VIEWS = {'whole slice': None, 'lungs blanked': 'outside lungs', 'only lungs': 'lungs'}
FIGURES = ('accuracy', 'macro_f1', 'macro_auroc')


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = make_parser(
        'shortcut',
        __doc__,
        'one-shot_r18_fpn_lstm2_phantom work_dirs/demo/iter_600.pth --out work_dirs/shortcut')
    parser.add_argument('config', help='path of the config')
    parser.add_argument('checkpoint', help='path of the checkpoint')
    parser.add_argument('--out', type=Path, required=True, metavar='DIR', help='folder to write')
    parser.add_argument('--rounds', type=int, default=2000, help='resamples (default: 2000)')
    add_common_arguments(parser)
    args = parser.parse_args(argv)
    if not os.path.isfile(args.checkpoint):
        parser.error(f'there is no checkpoint {args.checkpoint}')
    if args.launcher != 'none':
        parser.error('--launcher: the test runs in one process')
    return args


def keep_region(model: dict, region: str) -> int:
    """Let the data preprocessors of a model config blank all but a region; says of how many."""
    changed = 0
    for value in model.values():
        if isinstance(value, dict):
            changed += keep_region(value, region)
    if model.get('type') == 'mmcovid.SliceDataPreprocessor':
        model.update(type='mmcovid.RegionDataPreprocessor', region=region)
        changed += 1
    return changed


def classify(cfg: Config, region: str | None, path: Path) -> list[str]:
    """Predict the class-labelled slices and dump them; returns images without lungs."""
    cfg = deepcopy(cfg)
    if region and not keep_region(cfg.model, region):
        raise SystemExit('the model has no mmcovid.SliceDataPreprocessor, in whose place lungs '
                         'are blanked: the test is for models of this package')
    runner = build_runner(cfg)
    dump = DumpSlices(out_file_path=str(path))
    dump.dataset_meta = runner.test_dataloader.dataset.metainfo
    runner.test_evaluator.metrics.append(dump)
    with safe_checkpoints():
        runner.test()
    return [name for module in runner.model.modules()
            if isinstance(module, RegionDataPreprocessor) for name in module.without_lungs]


def to_markdown(data: dict) -> str:
    """A table of the views and the notes, from what :func:`main` writes as JSON."""
    def cell(entry: dict, sign: str = '') -> str:
        low, high = entry['low'], entry['high']
        bounds = '' if np.isnan(low) else f' ({low:{sign}.3f} to {high:{sign}.3f})'
        return f'{entry["value"]:{sign}.3f}{bounds}'

    lines = [f'| model sees | {" | ".join(FIGURES)} | accuracy: difference from the whole slice |',
             '|---|---:|---:|---:|---:|']
    for view, figures in data['figures'].items():
        difference = data['differences'].get(view)
        lines.append(f'| {view} | {" | ".join(cell(figures[key]) for key in FIGURES)} '
                     f'| {cell(difference["accuracy"], "+") if difference else "-"} |')
    share = data['largest_class_share']
    lines += [
        f'| nothing: always {data["largest_class"]} | {share:.3f} | {data["its_macro_f1"]:.3f} '
        '| 0.500 | - |', '',
        f'{data["slices"]} slices of {data["patients"]} patients; 95 % intervals by patient, '
        f'{data["rounds"]} resamples. In {len(data["without_lungs"])} slices no lung was found: '
        'with lungs blanked they are shown whole, with only lungs they are blank. They count in '
        'all rows.']
    return '\n'.join([f'# Shortcut test of {data["checkpoint"]}', '', *lines, ''])


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    cfg = load_config(args)
    cfg.load_from, cfg.resume = args.checkpoint, False
    dataset = cfg.test_dataloader.dataset
    if not dataset.get('cls'):
        raise SystemExit(f'{args.config}: test_dataloader.dataset has no class-labelled slices '
                         '(cls), which this test is on')
    dataset.seg = None
    cfg.test_evaluator = dict(
        type='mmcovid.TaskEvaluator', metrics=dict(cls=dict(type='mmcovid.ImageLevelMetric')))
    args.out.mkdir(parents=True, exist_ok=True)
    paths = {view: args.out / f'{view.replace(" ", "_")}.pkl' for view in VIEWS}
    without = {view: classify(cfg, region, paths[view]) for view, region in VIEWS.items()}
    results = compute(load_models([f'{view}={path}' for view, path in paths.items()]),
                      Settings(rounds=args.rounds)).data
    sizes = results['sets']['slice']
    counts = np.array(sizes['per_class'])
    share = counts.max() / counts.sum()
    data = dict(
        config=args.config, checkpoint=args.checkpoint, rounds=args.rounds,
        slices=sizes['cases'], patients=sizes['patients'],
        largest_class=results['classes'][counts.argmax()], largest_class_share=float(share),
        its_macro_f1=float(2 * share / (1 + share) / np.count_nonzero(counts)),
        without_lungs=without['only lungs'], notes=results['notes'],
        figures=results['figures']['slice'], differences=results['differences']['slice'])
    text = to_markdown(data)
    write_json(data, args.out / 'shortcut_test.json')
    write_text(text, args.out / 'shortcut_test.md')
    print(f'\n{text}\nwritten to {args.out / "shortcut_test.md"}')
