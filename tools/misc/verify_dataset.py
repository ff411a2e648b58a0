"""Read every file of a set, and report what is wrong: the command "mmcovid verify"."""
import sys

from mmcovid.cli import main

if __name__ == '__main__':
    sys.exit(main(['verify', *sys.argv[1:]]))
