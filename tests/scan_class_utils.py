"""Rules and scans of known class, for tests of the class of a scan."""

import json

import numpy as np

from mmcovid.scan_class import LearnedRule, Slices
from mmcovid.scan_class.learned import SHAPES
from mmcovid.scan_class.load import VECTORS

CLASSES = ('normal', 'cp', 'covid19')
VECTOR_SIZE = 5


def random_slices(number, rng, size=VECTOR_SIZE):
    """Slices with vectors of this size, without any of size 0."""
    vectors = rng.normal(size=(number, size)) if size else None
    return Slices(np.linspace(-1, 1, number), rng.dirichlet(np.ones(3), size=number), vectors)


def random_rule(features, rng, region='lung', slice_temperature=1.0, size=VECTOR_SIZE):
    """A rule of random weights."""
    sizes = dict(F=1 + (size if features == 'vectors' else 3), E=4, A=2, K=3)
    weights = {
        name: rng.normal(size=[sizes[letter] for letter in letters])
        for name, letters in SHAPES.items()
    }
    weights['scale'] = np.abs(weights['scale']) + 0.1
    fitted = dict(model=dict(weights='model.onnx'))
    return LearnedRule(features, CLASSES, region, slice_temperature, 1.3, weights, fitted)


def write_results(folder, scores, in_region=None, vectors=None, **settings):
    """What mmcovid infer writes of a scan, as far as a rule is fitted to it.

    Args:
        folder (Path): Of the scan.
        scores (np.ndarray): Of its slices, (n, K).
        in_region (np.ndarray): Of which slices the class is read, (n,). Defaults to all.
        vectors (np.ndarray): Image vectors, (n, D).
        **settings: That are not as usual.
    """
    folder.mkdir(parents=True)
    kept = np.ones(len(scores), bool) if in_region is None else in_region
    results = dict(
        complete=True,
        classification={},
        model=dict(weights='model.onnx', weights_sha256='a', image_classes=CLASSES),
        settings={**dict(region='lung', temperature=1.0, precision='fp32'), **settings},
        slices=[
            dict(index=i, in_region=bool(inside), scores=dict(zip(CLASSES, row.tolist())))
            for i, (row, inside) in enumerate(zip(scores, kept))
        ],
    )
    (folder / 'results.json').write_text(json.dumps(results))
    if vectors is not None:
        np.save(folder / VECTORS, vectors.astype(np.float32))


def draw_scores(label, rng, number=20, diseased=3):
    """Scores of the slices of a scan, (number, 3), few of which show its disease.

    The lowest three look like common pneumonia in every scan, as a model may always err there.
    """
    truth = np.zeros(number, int)
    truth[:3] = 1
    if label:
        start = rng.integers(4, number - diseased)
        truth[start : start + diseased] = label
    scores = rng.uniform(0, 0.1, (number, 3))
    scores[np.arange(number), truth] = rng.uniform(0.8, 1, number)
    return scores / scores.sum(1, keepdims=True)
