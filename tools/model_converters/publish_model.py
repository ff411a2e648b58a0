"""Publish a checkpoint: the command "mmcovid publish"."""

import sys

from mmcovid.cli import main

if __name__ == '__main__':
    if status := main(['publish', *sys.argv[1:]]):
        sys.exit(status)
