"""Train a model from a config: the command "mmcovid train"."""
import sys

from mmcovid.cli.train import main

if __name__ == '__main__':
    sys.exit(main())
