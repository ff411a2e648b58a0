"""Report on attention weights: the command "mmcovid attention"."""

import sys

from mmcovid.cli import main

if __name__ == '__main__':
    if status := main(['attention', *sys.argv[1:]]):
        sys.exit(status)
