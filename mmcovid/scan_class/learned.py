"""A rule that is fitted to scans: gated attention over their slices.

Each slice is embedded, gated attention weighs the embeddings, and their weighted mean is
classified. The order in which slices are given does not matter; where a slice lies in the lung is
one of its features, as a model errs on some places more than on others.

Source: M. Ilse, J. M. Tomczak, M. Welling, "Attention-based Deep Multiple Instance Learning",
ICML 2018.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import softmax

from mmcovid.statistics.calibration import image_scores
from mmcovid.utils.files import to_plain, write_json

from .rules import DEFAULT_RULE

#: Name of the rule, beside those of :data:`mmcovid.scan_class.RULES`.
LEARNED = 'learned'
#: What the rule may see of a slice beside its height.
FEATURES = ('vectors', 'scores')
#: It changes when a file of a former version cannot be read any more.
SCHEMA_VERSION = 1
#: Below it, scores differ by what no class depends on.
_LEAST_SCORE = 1e-4
#: Weights by name with their shapes: F features, E of an embedding, A of the attention, K classes.
SHAPES = dict(
    mean='F',
    scale='F',
    embed='EF',
    embed_bias='E',
    key='AE',
    gate='AE',
    query='A',
    classify='KE',
    classify_bias='K',
)


def choose_rule(asked: str | None, fitted: 'LearnedRule | None') -> str:
    """Name of the rule that is asked for; by default the one that was fitted to the model."""
    return asked or (LEARNED if fitted else DEFAULT_RULE)


@dataclass(frozen=True)
class Slices:
    """What a model says of the n slices that the class of a scan is read from."""

    heights: np.ndarray  #: (n,), see :func:`relative_heights`
    scores: np.ndarray  #: (n, K), each row sums to 1
    vectors: np.ndarray | None = None  #: image vectors, (n, D)

    def __len__(self) -> int:
        return len(self.heights)

    def take(self, chosen: np.ndarray) -> 'Slices':
        """Some of the slices, or all in another order."""
        vectors = None if self.vectors is None else self.vectors[chosen]
        return Slices(self.heights[chosen], self.scores[chosen], vectors)


def relative_heights(index: np.ndarray) -> np.ndarray:
    """Where slices lie between the first and the last of them.

    Args:
        index (np.ndarray): Their places in the scan, from the feet to the head, (n,), int.

    Returns:
        np.ndarray: From -1 to 1, (n,); 0 of a single slice.
    """
    first, last = index.min(), index.max()
    return (2.0 * index - first - last) / max(last - first, 1)


def slice_features(slices: Slices, features: str) -> np.ndarray:
    """What the rule sees of slices.

    Args:
        slices (Slices): n slices.
        features (str): One of :data:`FEATURES`.

    Returns:
        np.ndarray: Image vectors, or logarithms of the scores, and the heights, (n, F).

    Raises:
        ValueError: There are no image vectors.
    """
    if features == 'scores':
        return np.column_stack([np.log(np.maximum(slices.scores, _LEAST_SCORE)), slices.heights])
    if slices.vectors is None:
        raise ValueError(
            'the learned rule reads image vectors, which this model does not give. Export it '
            'again, or fit a rule by mmcovid scan-class --features scores.'
        )
    return np.column_stack([slices.vectors, slices.heights])


def attend(x: Any, weights: Mapping[str, Any], xp: Any) -> tuple[Any, Any]:
    """Embeddings of slices, and the logits of their attention.

    It is written once for NumPy, which applies the rule, and PyTorch, which fits it.

    Args:
        x (np.ndarray | Tensor): Features, (..., n, F).
        weights (Mapping): By the names of :data:`SHAPES`, of the same library.
        xp (ModuleType): That library.

    Returns:
        tuple: (..., n, E) and (..., n).
    """
    x = (x - weights['mean']) / weights['scale']
    embedded = xp.tanh(x @ weights['embed'].T + weights['embed_bias'])
    gate = 1 / (1 + xp.exp(-embedded @ weights['gate'].T))
    return embedded, (xp.tanh(embedded @ weights['key'].T) * gate) @ weights['query']


@dataclass(frozen=True)
class LearnedRule:
    """Gated attention that was fitted to scans."""

    features: str  #: one of :data:`FEATURES`
    classes: tuple[str, ...]
    region: str  #: that the slices were of, see :class:`mmcovid.scans.Settings`
    slice_temperature: float  #: that their scores had
    temperature: float  #: what the logits of a scan are divided by
    weights: dict[str, np.ndarray] = field(repr=False)  #: see :data:`SHAPES`
    fitted: dict[str, Any] = field(default_factory=dict, repr=False)  #: to what, and how well

    def __call__(self, slices: Slices) -> tuple[np.ndarray, np.ndarray]:
        """Read the class of a scan.

        Args:
            slices (Slices): n slices, in any order.

        Returns:
            tuple[np.ndarray, np.ndarray]: Class scores of the scan (K,), and the weights of the
            slices (n,). Both sum to 1.

        Raises:
            ValueError: The slices are those of another model.
        """
        logits, attention = self.logits(slices)
        return image_scores(logits[None], self.temperature)[0], attention

    def logits(self, slices: Slices) -> tuple[np.ndarray, np.ndarray]:
        """Logits of a scan before the temperature, (K,), and the weights of its slices, (n,)."""
        x = slice_features(slices, self.features)
        wanted = len(self.weights['mean'])
        if x.shape[1] != wanted:
            raise ValueError(
                f'the learned rule was fitted to {wanted - 1} numbers of each slice, and this '
                f'model gives {x.shape[1] - 1}. Fit it to the outputs of this model.'
            )
        embedded, logits = attend(x, self.weights, np)
        attention = softmax(logits)
        pooled = attention @ embedded
        return self.weights['classify'] @ pooled + self.weights['classify_bias'], attention

    def to_plain(self) -> dict[str, Any]:
        """The rule as plain values, for JSON."""
        return dict(schema_version=SCHEMA_VERSION, **to_plain(self))

    def save(self, path: str | Path) -> None:
        """Write the rule as JSON."""
        write_json(self.to_plain(), path, indent=None)

    @classmethod
    def from_plain(cls, plain: Any, classes: tuple[str, ...] | None = None) -> 'LearnedRule':
        """The rule of :meth:`to_plain`.

        Args:
            plain (Any): Plain values, from wherever they are.
            classes (tuple[str, ...], optional): Of the model that it is for. Defaults to None.

        Raises:
            ValueError: It is broken, of a newer version, or of other classes.
        """
        try:
            if plain['schema_version'] > SCHEMA_VERSION:
                raise ValueError('it was written by a newer mmcovid; update mmcovid')
            told = {each.name: plain[each.name] for each in fields(cls)}
            told['classes'] = tuple(map(str, told['classes']))
            told['weights'] = {name: _array(told['weights'][name]) for name in SHAPES}
            rule = cls(**told)
            rule._check()
            if classes not in (None, rule.classes):
                raise ValueError(f'it is for the classes {", ".join(rule.classes)}')
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f'the learned rule is broken ({type(error).__name__}: {error}). Fit it again by '
                'mmcovid scan-class.'
            ) from error
        return rule

    @classmethod
    def load(cls, path: str | Path) -> 'LearnedRule':
        """Read what :meth:`save` wrote.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It is no rule.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(f'{path}: no such file. Write it by mmcovid scan-class.')
        try:
            return cls.from_plain(json.loads(Path(path).read_text(encoding='utf-8')))
        except (ValueError, RecursionError) as error:
            raise ValueError(f'{path}: {error}') from error

    def _check(self) -> None:
        """Make sure that all parts fit together."""
        if self.features not in FEATURES:
            raise ValueError(f'it reads {self.features!r}')
        if not (0 < self.temperature < np.inf and 0 < self.slice_temperature < np.inf):
            raise ValueError('a temperature is not above 0')
        sizes = {'K': len(self.classes)}
        for name, letters in SHAPES.items():
            shape = self.weights[name].shape
            expected = tuple(sizes.setdefault(k, n) for k, n in zip(letters, shape))
            if len(shape) != len(letters) or shape != expected:
                raise ValueError(f'{name} has the shape {shape}')
        if not (self.weights['scale'] > 0).all():
            raise ValueError('a scale is not above 0')


def _array(values: Any) -> np.ndarray:
    array = np.array(values, np.float64)
    if not np.isfinite(array).all():
        raise ValueError('a weight is not finite')
    return array
