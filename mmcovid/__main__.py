"""``python -m mmcovid`` is the command ``mmcovid``."""

import sys

from mmcovid.cli import main

if __name__ == '__main__':
    sys.exit(main())
