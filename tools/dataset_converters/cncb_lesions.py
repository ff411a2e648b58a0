"""Convert the CNCB-NCOV lesion set: the command "mmcovid convert cncb-lesions"."""

import sys

from mmcovid.cli import main

if __name__ == '__main__':
    if status := main(['convert', 'cncb-lesions', *sys.argv[1:]]):
        sys.exit(status)
