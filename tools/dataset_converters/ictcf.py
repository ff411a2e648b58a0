"""Convert iCTCF: the command "mmcovid convert ictcf"."""

import sys

from mmcovid.cli import main

if __name__ == '__main__':
    if status := main(['convert', 'ictcf', *sys.argv[1:]]):
        sys.exit(status)
