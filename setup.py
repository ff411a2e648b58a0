"""Metadata is in setup.cfg; here only what a wheel carries for MIM and for configs elsewhere."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithMim(build_py):
    """Copy configs, tools and model-index.yml to ``mmcovid/.mim`` of what is built.

    Editable installs get no ``.mim``: MIM walks a clone from its root and
    takes a second way to the same config, a link too, for a duplicate.
    """

    def run(self):
        super().run()
        if getattr(self, 'editable_mode', False):
            return
        target = Path(self.build_lib, 'mmcovid', '.mim')
        # build/ may be left from a build in which more files existed.
        shutil.rmtree(target, ignore_errors=True)
        for folder in ('configs', 'tools'):
            shutil.copytree(
                folder, target / folder, ignore=shutil.ignore_patterns('__pycache__', '*.pyc')
            )
        shutil.copy('model-index.yml', target)


setup(cmdclass={'build_py': BuildWithMim})
