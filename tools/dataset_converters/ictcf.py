"""Convert iCTCF: the command "mmcovid convert ictcf"."""
import sys

from mmcovid.cli.convert_ictcf import main

if __name__ == '__main__':
    sys.exit(main())
