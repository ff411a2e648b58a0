"""Segment and classify whole scans: the command "mmcovid infer"."""

import sys

from mmcovid.cli import main

if __name__ == '__main__':
    if status := main(['infer', *sys.argv[1:]]):
        sys.exit(status)
