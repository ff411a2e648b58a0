"""Generate a set of phantom slices and scans: the command "mmcovid phantom"."""
import sys

from mmcovid.cli.phantom import main

if __name__ == '__main__':
    sys.exit(main())
