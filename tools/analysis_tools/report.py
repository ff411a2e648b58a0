"""Report on dumped predictions, for reviewers: the command "mmcovid report"."""

import sys

from mmcovid.cli import main

if __name__ == '__main__':
    if status := main(['report', *sys.argv[1:]]):
        sys.exit(status)
