"""Convert a checkpoint of the author's LSTM-2 release for mmcovid."""

import argparse
from collections.abc import Sequence

import torch

from mmcovid.checkpoints.author import (
    BACKBONES,
    convert_author_weights,
    infer_backbone,
    load_author_checkpoint,
)
from mmcovid.classes import DEFAULT
from mmcovid.cli.arguments import command, make_parser
from mmcovid.utils.files import atomic_path
from mmcovid.version import __version__


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = make_parser(
        'convert author-checkpoint',
        "Convert a checkpoint of the author's LSTM-2 release for mmcovid.",
        'release.pth resnet18.pth',
    )
    parser.add_argument('src', help='checkpoint of the release')
    parser.add_argument('dst', help='checkpoint to write')
    parser.add_argument(
        '--backbone', choices=BACKBONES, help='backbone of the checkpoint (default: told from it)'
    )
    parser.add_argument(
        '--weights-only-unsafe',
        action='store_true',
        help='unpickle whatever the file holds; that can run any code, so trust its origin',
    )
    return parser.parse_args(argv)


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    checkpoint = load_author_checkpoint(args.src, unsafe=args.weights_only_unsafe)
    weights = checkpoint['model_weights']
    backbone = args.backbone or infer_backbone(weights)
    if backbone is None:
        raise ValueError(
            f'{args.src}: the backbone is none of {", ".join(BACKBONES)}; the '
            f'first weights are {", ".join(list(weights)[:10])}.'
        )
    state_dict = convert_author_weights(weights, backbone)

    meta = dict(
        dataset_meta=DEFAULT.to_meta(), epoch=checkpoint.get('epoch'), mmcovid_version=__version__
    )
    with atomic_path(args.dst) as temporary:
        torch.save(dict(meta=meta, state_dict=state_dict), temporary)
    config = f'one-shot_{backbone}_fpn_lstm2_author-release.py'
    print(
        f'{len(weights)} tensors of {args.src} written to {args.dst}; its config is '
        f'configs/one_shot/{config}'
    )
