"""Segment and classify whole scans: the command "mmcovid infer"."""
import sys

from mmcovid.cli import main

if __name__ == '__main__':
    sys.exit(main(['infer', *sys.argv[1:]]))
