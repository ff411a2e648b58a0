"""Does a model read the lungs or the scanner? Its accuracy without lungs, and with lungs only.

The class-labelled slices of the test set are predicted four times: whole, with the
lungs blanked, with all but the lungs blanked, and with all but the lungs blurred. A
model that reads the lungs falls to the share of the largest class without them and
keeps most of its accuracy with them; one that has learnt a shortcut is as good
without. A model that normalises by the statistics of each slice, as the one-shot model
does, may need the rest to be there at all: hence the blur, which leaves no detail of it.
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
from mmcovid.cli.runner import add_common_arguments, build_runner, load_config, test_and_dump
from mmcovid.models import RegionDataPreprocessor
from mmcovid.utils.files import write_json, write_text

#: What is shown to the model, and how: options of RegionDataPreprocessor.
VIEWS = {
    'whole slice': None,
    'lungs blanked': dict(region='outside lungs'),
    'only lungs': dict(region='lungs'),
    'lungs, rest blurred': dict(region='lungs', fill='blur'),
}
FIGURES = ('accuracy', 'macro_f1', 'macro_auroc')


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = make_parser(
        'shortcut',
        __doc__,
        'one-shot_r18_fpn_lstm2_phantom work_dirs/demo/iter_600.pth --out work_dirs/shortcut',
    )
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


def show_only(model: dict, view: dict) -> int:
    """Let the data preprocessors of a model config show a view only; says how many they are."""
    changed = 0
    for value in model.values():
        if isinstance(value, dict):
            changed += show_only(value, view)
    if model.get('type') == 'mmcovid.SliceDataPreprocessor':
        model.update(type='mmcovid.RegionDataPreprocessor', **view)
        changed += 1
    return changed


def classify(cfg: Config, view: dict | None, path: Path) -> list[str]:
    """Predict the class-labelled slices and dump them; returns images without lungs."""
    cfg = deepcopy(cfg)
    if view and not show_only(cfg.model, view):
        raise SystemExit(
            'the model has no mmcovid.SliceDataPreprocessor, in whose place lungs '
            'are blanked: the test is for models of this package'
        )
    runner = build_runner(cfg)
    with safe_checkpoints():
        test_and_dump(runner, path)
    return [
        name
        for module in runner.model.modules()
        if isinstance(module, RegionDataPreprocessor)
        for name in module.without_lungs
    ]


def to_markdown(data: dict) -> str:
    """A table of the views and the notes, from what :func:`main` writes as JSON."""

    lines = [
        f'| model sees | {" | ".join(FIGURES)} | accuracy: difference from the whole slice |',
        '|---|---:|---:|---:|---:|',
    ]
    for view, figures in data['figures'].items():
        difference = data['differences'].get(view)
        cells = [f'{figures[key]:.3f}' for key in FIGURES]
        cells.append(f'{difference["accuracy"]:+.3f}' if difference else '-')
        lines.append(f'| {view} | {" | ".join(cells)} |')
    share = data['largest_class_share']
    lines += [
        f'| nothing: always {data["largest_class"]} | {share:.3f} | {data["its_macro_f1"]:.3f} '
        '| 0.500 | - |',
        '',
        f'{data["slices"]} slices of {data["patients"]} patients; 95 % intervals by patient, '
        f'{data["rounds"]} resamples. In {len(data["without_lungs"])} slices no lung was found: '
        'with lungs blanked they are shown whole, with only lungs they are blank. They count in '
        'all rows.',
    ]
    return '\n'.join([f'# Shortcut test of {data["checkpoint"]}', '', *lines, ''])


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    cfg = load_config(args)
    cfg.load_from, cfg.resume = args.checkpoint, False
    dataset = cfg.test_dataloader.dataset
    if not dataset.get('cls'):
        raise SystemExit(
            f'{args.config}: test_dataloader.dataset has no class-labelled slices '
            '(cls), which this test is on'
        )
    dataset.seg = None
    cfg.test_evaluator = dict(
        type='mmcovid.TaskEvaluator', metrics=dict(cls=dict(type='mmcovid.ImageLevelMetric'))
    )
    args.out.mkdir(parents=True, exist_ok=True)
    paths = {view: args.out / f'{view.replace(",", "").replace(" ", "_")}.pkl' for view in VIEWS}
    without = {view: classify(cfg, options, paths[view]) for view, options in VIEWS.items()}
    report = compute(
        load_models([f'{view}={path}' for view, path in paths.items()]),
        Settings(rounds=args.rounds),
    ).report
    size = report.sets['slice']
    counts = np.array(size.per_class)
    share = counts.max() / counts.sum()
    data = dict(
        config=args.config,
        checkpoint=args.checkpoint,
        rounds=args.rounds,
        slices=size.cases,
        patients=size.patients,
        largest_class=report.classes.image_names[counts.argmax()],
        largest_class_share=float(share),
        its_macro_f1=float(2 * share / (1 + share) / np.count_nonzero(counts)),
        without_lungs=without['only lungs'],
        notes=report.notes,
        figures=report.figures['slice'],
        differences=report.differences['slice'],
    )
    text = to_markdown(data)
    write_json(data, args.out / 'shortcut_test.json')
    write_text(text, args.out / 'shortcut_test.md')
    print(f'\n{text}\nwritten to {args.out / "shortcut_test.md"}')
