"""Read every file of a set, and report what is wrong: the command "mmcovid verify"."""

import sys

from mmcovid.cli import main

if __name__ == '__main__':
    if status := main(['verify', *sys.argv[1:]]):
        sys.exit(status)
