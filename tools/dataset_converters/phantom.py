"""Generate a set of phantom slices and scans: the command "mmcovid phantom"."""

import sys

from mmcovid.cli import main

if __name__ == '__main__':
    if status := main(['phantom', *sys.argv[1:]]):
        sys.exit(status)
