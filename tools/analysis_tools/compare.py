"""Train and test several systems, and write one table: the command "mmcovid compare"."""

import sys

from mmcovid.cli import main

if __name__ == '__main__':
    if status := main(['compare', *sys.argv[1:]]):
        sys.exit(status)
