"""Convert a checkpoint of the author: the command "mmcovid convert author-checkpoint"."""

import sys

from mmcovid.cli import main

if __name__ == '__main__':
    if status := main(['convert', 'author-checkpoint', *sys.argv[1:]]):
        sys.exit(status)
