"""Publish a checkpoint: weights, config, classes and model card, without the optimiser."""
import argparse

from mmcovid.checkpoints.publish import publish_model


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('checkpoint', help='checkpoint of a training')
    parser.add_argument(
        'out', help='file to write: NAME.safetensors, which is loaded without any pickle, or '
        'NAME.pth, to whose name 8 digits of its hash are added; or a folder, for a .safetensors '
        'file named by the config and these digits')
    parser.add_argument(
        '--overwrite', action='store_true', help='replace the file if it is there')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    try:
        file, lacks = publish_model(args.checkpoint, args.out, args.overwrite)
    except (OSError, ValueError) as error:
        raise SystemExit(f'{args.checkpoint} was not published: {error}') from error
    for sentence in lacks:
        print(sentence)
    print(f'{file.stat().st_size / 1e6:.1f} MB written to {file}')
