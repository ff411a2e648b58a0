"""Write a model as one ONNX file, which runs without PyTorch."""

import argparse
import copy
import warnings
from collections.abc import Sequence
from pathlib import Path

from mmcovid.cli.arguments import (
    add_cfg_options,
    add_trust_code,
    command,
    make_parser,
    read_cfg_options,
)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = make_parser(
        'export',
        'Write a model as one ONNX file of standard operators, which runs without '
        'PyTorch and MMDetection: "mmcovid infer" takes it as --weights.',
        'work_dirs/lstm2/iter_30000.pth --out lstm2.onnx',
    )
    parser.add_argument('checkpoint', help='checkpoint of a training, or published weights')
    parser.add_argument(
        '--config',
        metavar='CFG',
        help='config: its path, or the base name of one of mmcovid '
        '(default: the one saved in the checkpoint)',
    )
    parser.add_argument(
        '--out', type=Path, required=True, metavar='FILE', help='file to write, .onnx'
    )
    parser.add_argument(
        '--class-only',
        action='store_true',
        help='leave out the lesions: the file only classifies, in less time',
    )
    parser.add_argument(
        '--precision',
        choices=('fp32', 'int8'),
        default='fp32',
        help='int8: convolutions in 8 bits, which is faster and loses a little (default: fp32)',
    )
    parser.add_argument(
        '--calibration',
        type=int,
        default=32,
        metavar='N',
        help='slices of the validation set that int8 is fitted to (default: 32)',
    )
    parser.add_argument('--overwrite', action='store_true', help='replace the file if it is there')
    add_cfg_options(parser)
    add_trust_code(parser)
    args = parser.parse_args(argv)
    if not Path(args.checkpoint).is_file():
        parser.error(f'there is no checkpoint {args.checkpoint}')
    if args.calibration < 1:
        parser.error('--calibration must be at least 1')
    if args.precision == 'int8' and not args.config:
        parser.error('--precision int8 needs --config, which tells the validation set')
    return args


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    # not before the arguments are known to be good: these take seconds
    from mmengine.config import Config

    from mmcovid.apis import OneShotInferencer
    from mmcovid.checkpoints.publish import card_of, load_meta
    from mmcovid.checkpoints.saved_config import read_saved_config, trained_hash
    from mmcovid.utils.configs import find_config
    from mmcovid.utils.files import sha256
    from mmcovid.utils.provenance import config_hash
    from mmcovid.version import __version__

    try:
        from mmcovid.deployment.export import calibration_slices, export_model, slice_input

        if args.precision == 'int8':
            import mmcovid.deployment.quantization  # noqa: F401
    except ModuleNotFoundError as error:
        raise ImportError(
            f'{error.name} is not installed; to mend it, run: '
            'pip install onnx onnxscript onnxruntime'
        ) from error
    from mmcovid.deployment.metadata import Metadata

    meta = load_meta(args.checkpoint)
    if args.config:
        config = Config.fromfile(find_config(args.config))
        # the card is that of the config as it was trained
        trained = trained_hash(meta) or config_hash(config)
    elif saved := read_saved_config(meta, args.checkpoint, args.trust_code):
        config, trained = saved
    else:
        raise ValueError(f'{args.checkpoint}: has no config. Give it by --config.')
    config.merge_from_dict(read_cfg_options(args))
    input_size, window = slice_input(config)
    slices = calibration_slices(config, args.calibration) if args.precision == 'int8' else ()
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', category=FutureWarning)
        inferencer = OneShotInferencer(copy.deepcopy(config), args.checkpoint, device='cpu')
    lacks: list[str] = []
    card = card_of(Path(args.checkpoint), trained, meta.get('card'), lacks)
    roi_head = getattr(inferencer.model, 'roi_head', None)
    rule = inferencer.scan_rule
    metadata = Metadata(
        classes=inferencer.classes.to_meta(),
        input_size=input_size,
        window=window,
        temperature=inferencer.temperature,
        mask_threshold=roi_head.test_cfg.mask_thr_binary if roi_head else 0.5,
        config=Path(args.config or args.checkpoint).stem,
        config_sha256=inferencer.config_hash if args.config or args.cfg_options else trained,
        weights_sha256=sha256(args.checkpoint),
        card=card,
        precision=args.precision,
        distance_threshold=inferencer.distance_threshold,
        scan_rule=None if rule is None else rule.to_plain(),
        mmcovid_version=__version__,
    )
    export_model(inferencer.model, metadata, args.out, args.overwrite, args.class_only, slices)
    for sentence in lacks:
        print(sentence)
    print(f'{args.out.stat().st_size / 1e6:.1f} MB written to {args.out}')
