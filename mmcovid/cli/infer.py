"""The command ``mmcovid-infer``."""

import argparse
import os
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmcovid.cli.arguments import (
    add_budget_arguments,
    add_cfg_options,
    add_trust_code,
    command,
    make_parser,
    read_cfg_options,
)
from mmcovid.cli.engine_arguments import (
    add_engine_arguments,
    check_engine_arguments,
    engine_arguments,
    is_exported,
)
from mmcovid.deployment.onnx_predictor import OnnxPredictor
from mmcovid.scan_class import DEFAULT_RULE, RULES
from mmcovid.scans import REGIONS, Settings, run_scans
from mmcovid.statistics.class_scores import check_abstain_below, read_temperature
from mmcovid.utils.budget import set_budget
from mmcovid.utils.configs import find_config
from mmcovid.utils.escape import printable
from mmcovid.utils.versions import check_stack

if TYPE_CHECKING:
    from mmcovid.apis import OneShotInferencer


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = make_parser(
        'infer',
        'Segment the lesions of CT scans and classify the scans. Each gets a folder '
        'with masks, results.json, slices.csv and report.html. Research use only: this is no '
        'medical device.',
        'scan.nii.gz dicom_folder/ --weights model.safetensors --out results/\n'
        '  mmcovid infer scans/ --weights model.onnx --out results/ --workers 8 --resume',
    )
    parser.add_argument(
        'inputs',
        nargs='+',
        metavar='INPUT',
        help='slice (picture or DICOM), folder of the pictures of one scan, folder of DICOM files, '
        'NIfTI, NRRD or MetaImage volume, or folder of volumes',
    )
    parser.add_argument(
        '--config',
        metavar='CFG',
        help='config: its path, or the base name of one of mmcovid '
        '(default: the one saved in the weights)',
    )
    parser.add_argument(
        '--weights',
        required=True,
        metavar='CKPT',
        help='checkpoint, or .onnx file of mmcovid export',
    )
    parser.add_argument('--out', type=Path, required=True, metavar='DIR', help='folder to write')
    parser.add_argument(
        '--device',
        metavar='NAME',
        help='such as cpu or cuda:0 (default: CUDA if there is one; of an .onnx file the CPU)',
    )
    add_engine_arguments(parser)
    parser.add_argument(
        '--batch-size', type=int, default=4, metavar='N', help='slices in one pass (default: 4)'
    )
    parser.add_argument(
        '--score-thr',
        type=float,
        default=0.3,
        metavar='SCORE',
        help='least score of lesions (default: 0.3)',
    )
    parser.add_argument(
        '--aggregate',
        choices=tuple(RULES),
        default=DEFAULT_RULE,
        help='rule that reads the class of a scan from the scores of its slices, see '
        'docs/en/scan_class.md (default: %(default)s)',
    )
    parser.add_argument(
        '--region',
        choices=REGIONS,
        default='lung',
        help='slices that the class of a volume is read from, found by threshold (default: lung); '
        'of pictures all are taken',
    )
    parser.add_argument(
        '--temperature',
        metavar='T',
        help='what image logits are divided by: a number, or temperature.json of '
        'mmcovid report (default: that of the config)',
    )
    parser.add_argument(
        '--abstain-below',
        type=float,
        metavar='SCORE',
        help='leave the class undecided if its score is lower',
    )
    parser.add_argument(
        '--abstain-unfamiliar',
        action='store_true',
        help='leave the class undecided of what is unlike the training data; needs weights that '
        'were published with --familiarity',
    )
    parser.add_argument(
        '--dicom-seg',
        action='store_true',
        help='also write a DICOM segmentation; inputs must be DICOM, and highdicom installed',
    )
    parser.add_argument(
        '--no-viewer',
        dest='viewer',
        action='store_false',
        help='leave out viewer.html, the page of all slices: some megabytes for each scan',
    )
    parser.add_argument(
        '--keep-paths',
        action='store_true',
        help='tell the paths of scans and weights as they were given, with their folders (default: '
        'the names of files only)',
    )
    parser.add_argument(
        '--overwrite', action='store_true', help='replace the folders of scans that exist'
    )
    parser.add_argument(
        '--resume',
        action='store_true',
        help='leave scans that the same model and options made as they are; with --overwrite only '
        'the others are replaced',
    )
    add_budget_arguments(parser)
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        '--workers',
        type=int,
        metavar='N',
        help='processes that read a scan each at once, by Dask (default: this one alone)',
    )
    where.add_argument(
        '--scheduler',
        metavar='ADDRESS',
        help='Dask scheduler whose workers read the scans: its address, or its scheduler file',
    )
    add_cfg_options(parser)
    add_trust_code(parser)
    args = parser.parse_args(argv)
    if args.batch_size < 1:
        parser.error('--batch-size must be at least 1')
    if not Path(args.weights).is_file():
        parser.error(f'there is no checkpoint {args.weights}')
    if args.workers is not None and args.workers < 1:
        parser.error('--workers must be at least 1')
    if args.cfg_options and not args.config:
        parser.error('--cfg-options needs --config')
    check_engine_arguments(parser, args, args.weights)
    if is_exported(args.weights) and args.config:
        parser.error('an exported model has its config in it: leave out --config')
    return args


def load_predictor(
    args: argparse.Namespace, threads: int | None = None
) -> 'OneShotInferencer | OnnxPredictor':
    """The model with its weights and its temperature.

    Args:
        args (argparse.Namespace): Of the command.
        threads (int, optional): Of an exported model. Defaults to None: as many as there are cores.
    """
    predictor: OneShotInferencer | OnnxPredictor
    if is_exported(args.weights):
        device = args.device or 'cpu'
        predictor = OnnxPredictor(args.weights, threads, device=device, **engine_arguments(args))
    else:
        predictor = _load_inferencer(args)
    if args.temperature is not None:
        predictor.temperature = args.temperature
    return predictor


def _load_on_worker(args: argparse.Namespace) -> 'OneShotInferencer | OnnxPredictor':
    """The model on a worker, whose threads Dask sets as PyTorch heeds, and onnxruntime does not.

    Workers of a scheduler know the budget only if they are told.
    """
    set_budget(args.max_slice_pixels, args.max_mib)
    return load_predictor(args, threads=int(os.environ.get('OMP_NUM_THREADS', 1)))


def _load_inferencer(args: argparse.Namespace) -> 'OneShotInferencer':
    check_stack()
    from mmengine.config import Config

    from mmcovid.apis import OneShotInferencer

    config = None
    if args.config:
        config = Config.fromfile(find_config(args.config))
        config.merge_from_dict(read_cfg_options(args))
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', category=FutureWarning)
        return OneShotInferencer(
            config, args.weights, device=args.device, trust_code=args.trust_code
        )


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Run the command; its exit status is 1 if a scan failed or is incomplete."""
    args = parse_args(argv)
    settings = Settings(
        score_thr=args.score_thr,
        aggregate=args.aggregate,
        region=args.region,
        abstain_below=args.abstain_below,
        abstain_unfamiliar=args.abstain_unfamiliar,
        batch_size=args.batch_size,
        dicom_seg=args.dicom_seg,
        viewer=args.viewer,
        keep_paths=args.keep_paths,
        overwrite=args.overwrite,
        resume=args.resume,
    )
    check_abstain_below(args.abstain_below)
    if args.temperature is not None:
        args.temperature = read_temperature(args.temperature)
    if args.workers or args.scheduler:
        rows = _run_on_workers(args, settings)
    else:
        rows = run_scans(load_predictor(args), args.inputs, args.out, settings)
    kept = [row for row in rows if row.get('kept')]
    for row in rows:
        if not row.get('kept'):
            print(printable(tell(row), keep=''))
    bad = [row for row in rows if row['status'] != 'ok']
    unlike = sum(row.get('familiar') is False for row in rows)
    apart = f', {unlike} unlike the training data' if unlike else ''
    there = f', {len(kept)} of them already before' if kept else ''
    print(
        f'{len(rows) - len(bad)} of {len(rows)} scans are complete{there}{apart}; all in '
        f'{args.out / "summary.csv"}'
    )
    if bad:
        raise SystemExit(1)


def _run_on_workers(args: argparse.Namespace, settings: Settings) -> list[dict[str, Any]]:
    """Predict the scans by Dask."""
    from mmcovid.scans import cohort  # here: it needs a package that is optional

    inputs = args.inputs
    del args.inputs  # workers get all else with every scan
    if args.scheduler:
        # its workers may run in another folder
        args.weights, args.out = os.path.abspath(args.weights), args.out.absolute()
        inputs = [os.path.abspath(path) for path in inputs]
        if args.config and Path(args.config).exists():
            args.config = os.path.abspath(args.config)
        cluster = cohort.connect(args.scheduler)
    else:
        cluster = cohort.start_workers(args.workers)
    with cluster as client:
        return cohort.run_cohort(client, partial(_load_on_worker, args), inputs, args.out, settings)


def tell(row: dict) -> str:
    """A scan in one line."""
    name = row['scan'] or row['input']
    if row['status'] == 'failed':
        return f'{name}: FAILED: {row["reason"]}'
    parts = []
    if row['class'] is not None:
        leading = '' if row['class'] == row['leading_class'] else f' ({row["leading_class"]} leads)'
        parts.append(f'{row["class"]}{leading} {row["score"]:.3f}')
    if row.get('familiar') is False:
        parts.append('UNLIKE THE TRAINING DATA')
    if row.get('lesions_share_of_lung') is not None:
        parts.append(f'lesions in {row["lesions_share_of_lung"]:.1%} of the lung')
    if row['status'] == 'incomplete':
        parts.append(f'INCOMPLETE: {row["reason"]}')
    return f'{name}: ' + ', '.join(parts)
