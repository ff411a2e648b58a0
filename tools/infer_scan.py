"""Segment and classify whole scans: the command mmcovid-infer."""
import sys

from mmcovid.scans.cli import main

if __name__ == '__main__':
    main(sys.argv[1:])
