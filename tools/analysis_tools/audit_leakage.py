"""Find patients and slices that are in more than one split: the command "mmcovid audit"."""

import sys

from mmcovid.cli import main

if __name__ == '__main__':
    if status := main(['audit', *sys.argv[1:]]):
        sys.exit(status)
