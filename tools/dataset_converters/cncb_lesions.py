"""Convert the CNCB-NCOV lesion set: the command "mmcovid convert cncb-lesions"."""
import sys

from mmcovid.cli.convert_cncb_lesions import main

if __name__ == '__main__':
    sys.exit(main())
