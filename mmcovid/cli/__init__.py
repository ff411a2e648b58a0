"""The command ``mmcovid`` and its sub-commands, each a module with ``main``."""
