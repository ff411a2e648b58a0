"""Publish a checkpoint: weights, config, classes and model card, without the optimiser."""

import argparse
from collections.abc import Sequence

from mmcovid.checkpoints.publish import publish_model
from mmcovid.cli.arguments import command, make_parser
from mmcovid.scan_class import LearnedRule
from mmcovid.utils.configs import find_config
from mmcovid.utils.files import sha256


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = make_parser(
        'publish',
        'Publish a checkpoint: weights, config, classes and model card, without the optimiser.',
        'work_dirs/lstm2/iter_30000.pth published/',
    )
    parser.add_argument('checkpoint', help='checkpoint of a training')
    parser.add_argument(
        'out',
        help='file to write: NAME.safetensors, which is loaded without any pickle, or '
        'NAME.pth, to whose name 8 digits of its hash are added; or a folder, for a .safetensors '
        'file named by the config and these digits',
    )
    parser.add_argument(
        '--familiarity',
        metavar='CFG',
        help='also keep statistics of the training data, by which slices that are unlike them are '
        'known: reads the slices of train_dataloader and val_dataloader of this config, that of '
        'the training',
    )
    parser.add_argument(
        '--scan-class',
        metavar='JSON',
        help='also keep this rule for the class of a scan, which mmcovid scan-class fitted to what '
        'this model says of slices',
    )
    parser.add_argument('--overwrite', action='store_true', help='replace the file if it is there')
    return parser.parse_args(argv)


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    statistics = None
    rule = LearnedRule.load(args.scan_class) if args.scan_class else None
    if args.familiarity:
        from mmengine.config import Config

        from mmcovid.apis.familiarity import fit_familiarity

        config = Config.fromfile(find_config(args.familiarity))
        fitted = fit_familiarity(args.checkpoint, config)
        statistics = fitted.statistics
        print(
            f'fitted to {fitted.num_train} training slices; {fitted.num_above} of '
            f'{fitted.num_val} validation slices are above the threshold, {fitted.threshold:.3g}'
        )
    file, lacks = publish_model(args.checkpoint, args.out, args.overwrite, statistics, rule)
    if rule is not None:
        fitted_to = rule.fitted['model']
        print(f'its rule for scans was fitted to what {fitted_to["weights"]} said')
        if fitted_to['weights_sha256'] != sha256(args.checkpoint):
            print(
                f'note: {args.checkpoint} is another file. If it has not the same weights, fit '
                'the rule anew.'
            )
    for sentence in lacks:
        print(sentence)
    print(f'{file.stat().st_size / 1e6:.1f} MB written to {file}')
