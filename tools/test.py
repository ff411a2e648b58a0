"""Test a checkpoint on both tasks: the command "mmcovid test"."""

import sys

from mmcovid.cli import main

if __name__ == '__main__':
    if status := main(['test', *sys.argv[1:]]):
        sys.exit(status)
