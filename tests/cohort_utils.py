"""Predictors that workers can import, and what becomes of these."""

import os
import signal
from pathlib import Path

from known_predictor import KnownPredictor

from mmcovid.results import ModelInfo


class MortalPredictor(KnownPredictor):
    """A predictor whose process is killed by scans of some names.

    Args:
        labels (Path): As of :class:`KnownPredictor`. Beside it lie the notes: a line in
            ``loads`` for each predictor that was made, and ``died`` once ``once`` has killed.
    """

    model_info = ModelInfo('mortal', config_sha256='c' * 64, weights='w', weights_sha256='d' * 64)

    def __init__(self, labels):
        super().__init__(labels)
        self.folder = Path(labels).parent
        with open(self.folder / 'loads', 'a') as file:
            file.write(f'{os.getpid()}\n')

    def predict(self, paths, *args):
        yield from super().predict(paths, *args)
        name = Path(paths[0]).name
        if name.startswith('always'):
            os.kill(os.getpid(), signal.SIGKILL)
        if name.startswith('once') and not (self.folder / 'died').exists():
            (self.folder / 'died').touch()
            os.kill(os.getpid(), signal.SIGKILL)
