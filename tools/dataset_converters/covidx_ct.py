"""Convert lists of COVIDx-CT: the command "mmcovid convert covidx-ct"."""

import sys

from mmcovid.cli import main

if __name__ == '__main__':
    if status := main(['convert', 'covidx-ct', *sys.argv[1:]]):
        sys.exit(status)
