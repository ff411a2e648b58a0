"""Convert a checkpoint of the author: the command "mmcovid convert author-checkpoint"."""
import sys

from mmcovid.cli.convert_author_checkpoint import main

if __name__ == '__main__':
    sys.exit(main())
