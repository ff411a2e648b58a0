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
from mmcovid.scan_class import DEFAULT_RULE, LEARNED, RULES, DecisionRules
from mmcovid.scans import REGIONS, Settings, run_scans
from mmcovid.scans.addresses import check_no_secrets, is_address
from mmcovid.scans.summary import NOT_STORED
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
        'NIfTI, NRRD or MetaImage volume, folder of volumes, or study or series of a DICOMweb '
        'archive, dicomweb://HOST/PREFIX/studies/UID[/series/UID]',
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
        '--least-lesion-ml',
        type=float,
        default=Settings.least_lesion_ml,
        metavar='ML',
        help='volume of the smallest 3-D lesion that is listed, in ml; smaller ones are only '
        'counted (default: %(default)s, a ball of 6 mm)',
    )
    parser.add_argument(
        '--aggregate',
        choices=(LEARNED, *RULES),
        help='rule that reads the class of a scan from its slices, see docs/en/scan_class.md '
        f'(default: {LEARNED} of a model that has such a rule, else {DEFAULT_RULE})',
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
        '--decision-rules',
        metavar='FILE',
        help='decision_rules.json of mmcovid report: also tell the set of classes that a scan may '
        'be of; its temperature is taken, too',
    )
    parser.add_argument(
        '--prevalence',
        metavar='CLASS=SHARE,...',
        help='shares of the classes where the scans are from, such as '
        'normal=0.9,cp=0.07,covid19=0.03, that scores are corrected for; needs --decision-rules',
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
        '--dicom-sr',
        action='store_true',
        help='also write a DICOM structured report, and the segmentation that it refers to',
    )
    parser.add_argument(
        '--dicom-sc',
        action='store_true',
        help='also write the key slices as DICOM secondary captures',
    )
    parser.add_argument(
        '--store',
        action='store_true',
        help='send the DICOM outputs (default: all three) to the archive that the scan is from',
    )
    parser.add_argument(
        '--keep-vectors',
        action='store_true',
        help='also write vectors.npy, the image vectors of the slices, for mmcovid scan-class',
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
    if not args.least_lesion_ml >= 0:
        parser.error('--least-lesion-ml must be at least 0')
    if not Path(args.weights).is_file():
        parser.error(f'there is no checkpoint {args.weights}')
    if args.workers is not None and args.workers < 1:
        parser.error('--workers must be at least 1')
    check_no_secrets(args.inputs)
    if args.store:
        if not all(map(is_address, args.inputs)):
            parser.error('--store needs inputs of an archive, dicomweb://...')
        if not (args.dicom_seg or args.dicom_sr or args.dicom_sc):
            args.dicom_seg = args.dicom_sr = args.dicom_sc = True
    if args.cfg_options and not args.config:
        parser.error('--cfg-options needs --config')
    if args.prevalence and not args.decision_rules:
        parser.error('--prevalence needs --decision-rules')
    if args.temperature is not None and args.decision_rules:
        parser.error('--decision-rules hold a temperature: leave out --temperature')
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
    rules = None
    if args.decision_rules:
        rules = DecisionRules.read(args.decision_rules, args.prevalence)
        args.temperature = rules.temperature
    settings = Settings(
        score_thr=args.score_thr,
        aggregate=args.aggregate,
        region=args.region,
        decision_rules=rules,
        abstain_below=args.abstain_below,
        abstain_unfamiliar=args.abstain_unfamiliar,
        least_lesion_ml=args.least_lesion_ml,
        batch_size=args.batch_size,
        dicom_seg=args.dicom_seg,
        dicom_sr=args.dicom_sr,
        dicom_sc=args.dicom_sc,
        store=args.store,
        keep_vectors=args.keep_vectors,
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
        inputs = [path if is_address(path) else os.path.abspath(path) for path in inputs]
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
    if row['status'] == NOT_STORED:
        parts.append(f'NOT STORED: {row["reason"]}')
    return f'{name}: ' + ', '.join(parts)
