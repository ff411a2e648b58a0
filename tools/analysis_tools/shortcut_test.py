"""Does a model read the lungs or the scanner?: the command "mmcovid shortcut"."""

import sys

from mmcovid.cli import main

if __name__ == '__main__':
    if status := main(['shortcut', *sys.argv[1:]]):
        sys.exit(status)
