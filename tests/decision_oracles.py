"""What MAPIE, QuaPy and dcurves say of simulated scores.

``tests/data/make_decision_oracles.py`` made it, and tells how; the three bring more than the tests
should need.
"""

from pathlib import Path
from types import SimpleNamespace

import numpy as np

from mmcovid.statistics.classification import Cases

ORACLES = SimpleNamespace(**np.load(Path(__file__).parent / 'data/decision_oracles.npz'))


def make_cases(scores, truth, cluster=None):
    """Cases of a patient each, unless told otherwise."""
    every = np.arange(len(truth))
    return Cases(every, truth, scores.argmax(1), scores, every if cluster is None else cluster)
