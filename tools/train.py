"""Train a model from a config: the command "mmcovid train"."""

import sys

from mmcovid.cli import main

if __name__ == '__main__':
    if status := main(['train', *sys.argv[1:]]):
        sys.exit(status)
