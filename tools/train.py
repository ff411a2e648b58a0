"""Train a model from a config: the command "mmcovid train"."""
import sys

from mmcovid.cli import main

if __name__ == '__main__':
    sys.exit(main(['train', *sys.argv[1:]]))
