"""Make ``decision_oracles.npz``, what other libraries say of simulated scores.

They bring pandas, lifelines and statsmodels, and so are no requirements of the tests::

    python -m venv oracles
    oracles/bin/pip install mapie==1.6.0 quapy==0.2.3 dcurves==1.1.7
    oracles/bin/python tests/data/make_decision_oracles.py
"""

from pathlib import Path

import numpy as np
import pandas as pd
import quapy.functional as F
from dcurves import dca
from mapie.classification import SplitConformalClassifier
from quapy.method.aggregative import ACC, EMQ
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin

COVERAGES = (0.5, 0.8, 0.9)
THRESHOLDS = np.arange(1, 100) / 100


class Scores(ClassifierMixin, BaseEstimator):
    """A classifier whose inputs are its scores."""

    def fit(self, X, y):
        self.classes_ = np.arange(3)
        self.is_fitted_ = True
        return self

    def predict(self, X):
        return X.argmax(1)

    def predict_proba(self, X):
        return X


def simulate(rng, shares):
    """Scores that are calibrated for three classes that are equally frequent, of 120 cases."""
    truth = rng.choice(3, 120, p=shares)
    return softmax(1.5 * (np.eye(3)[truth] * 1.5 + rng.normal(size=(120, 3))), axis=1), truth


def main():
    rng = np.random.default_rng(0)
    val_scores, val_truth = simulate(rng, [0.4, 0.35, 0.25])
    scores, truth = simulate(rng, [0.8, 0.05, 0.15])
    prior = np.bincount(val_truth, minlength=3) / len(val_truth)

    EMQ.MAX_ITER = 100_000
    by_em, corrected = EMQ.EM(prior, scores, epsilon=1e-13)
    rates = ACC.getPteCondEstim(np.arange(3), val_truth, val_scores.argmax(1))
    predicted = np.bincount(scores.argmax(1), minlength=3) / len(scores)
    by_counts = F.clip(np.linalg.solve(rates, predicted))

    def net_benefit(prevalence=None):
        table = dca(
            data=pd.DataFrame(dict(ill=truth != 0, score=1 - scores[:, 0])),
            outcome='ill',
            modelnames=['score'],
            thresholds=THRESHOLDS,
            prevalence=prevalence,
        )
        return [table.net_benefit[table.model == name].to_numpy() for name in ('score', 'all')]

    sets = np.zeros((len(COVERAGES), len(scores), 3), bool)
    for k in range(3):  # class by class: MAPIE itself has no sets by class
        own = val_truth == k
        mapie = SplitConformalClassifier(
            Scores().fit(None, None), confidence_level=COVERAGES, conformity_score='lac'
        )
        mapie.conformalize(val_scores[own], val_truth[own])
        sets[..., k] = mapie.predict_set(scores)[1][:, k].T

    np.savez_compressed(
        Path(__file__).with_name('decision_oracles.npz'),
        val_scores=val_scores,
        val_truth=val_truth,
        scores=scores,
        truth=truth,
        by_em=by_em,
        corrected=corrected,
        by_counts=by_counts,
        net_benefit=np.stack(net_benefit()),
        net_benefit_at_5_percent=np.stack(net_benefit(0.05)),
        coverages=COVERAGES,
        sets=sets,
    )


if __name__ == '__main__':
    main()
