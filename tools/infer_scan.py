"""Segment and classify whole scans: the command "mmcovid infer"."""
import sys

from mmcovid.cli.infer import main

if __name__ == '__main__':
    sys.exit(main())
