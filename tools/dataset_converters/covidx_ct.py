"""Convert lists of COVIDx-CT: the command "mmcovid convert covidx-ct"."""
import sys

from mmcovid.cli.convert_covidx_ct import main

if __name__ == '__main__':
    sys.exit(main())
