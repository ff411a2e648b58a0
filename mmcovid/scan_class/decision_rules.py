"""What a report chose on a validation set, applied to the class scores of a scan."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmcovid.statistics.calibration import log_scores, sharpen
from mmcovid.statistics.conformal import prediction_sets
from mmcovid.statistics.prevalence import read_prevalence, shift_scores

_MAKE = 'Make one by mmcovid report --calibrate-on'


@dataclass(frozen=True)
class DecisionRules:
    """Of one model, for scores that a rule reads from those of slices; K classes."""

    temperature: float  #: of the slices' scores
    aggregate: str  #: rule that the scores of a scan are read by
    unit_temperature: float  #: of these scores, as probabilities
    prior: dict[str, float]  #: share of each class in the validation set
    set_coverage: float  #: share of each class that prediction sets are to hold
    set_thresholds: dict[str, float]  #: score from which on a class is in the set
    prevalence: dict[str, float] | None = None  #: share of each class where the model is used

    @classmethod
    def read(cls, path: str | Path, prevalence: str | None = None) -> 'DecisionRules':
        """Rules of ``decision_rules.json`` of a report.

        Args:
            path (str | Path): File that holds the rules of one model only.
            prevalence (str, optional): Shares of the classes where it is used, as
                :func:`~mmcovid.statistics.prevalence.read_prevalence` takes them. Defaults to
                None: as in the validation set.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It holds none, or those of several models, or the shares are none.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(f'{path}: no such decision rules. {_MAKE}')
        try:
            models = json.loads(Path(path).read_text(encoding='utf-8'))
            found = [
                cls(
                    temperature=float(rules['temperature']),
                    aggregate=str(rules['aggregate']),
                    unit_temperature=float(rules['unit_temperature']),
                    prior={name: float(share) for name, share in rules['prior'].items()},
                    set_coverage=float(rules['set_coverage']),
                    set_thresholds={
                        name: float(rules['set_thresholds'][name]) for name in rules['prior']
                    },
                )
                for rules in models.values()
            ]
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise ValueError(f'{path}: is no decision_rules.json of a report. {_MAKE}') from error
        if len(found) != 1:
            raise ValueError(
                f'{path}: holds the rules of {len(found)} models ({", ".join(models)}). Report on '
                'the one of your weights alone'
            )
        (rules,) = found
        if prevalence is None:
            return rules
        names = tuple(rules.prior)
        shares = read_prevalence(prevalence, names)
        # refused here, before hours of prediction, if a class was not calibrated on
        shift_scores(np.ones((1, len(names))), np.array([*rules.prior.values()]), shares)
        return cls(**{**vars(rules), 'prevalence': dict(zip(names, shares.tolist()))})

    def check(self, names: tuple[str, ...], aggregate: str) -> None:
        """Make sure that the rules are of a model of these classes, and a rule of this name.

        Raises:
            ValueError: They are not.
        """
        if tuple(self.prior) != names:
            raise ValueError(
                f'the decision rules are of the classes {", ".join(self.prior)}, the model has '
                f'{", ".join(names)}. Give those of its own report'
            )
        if self.aggregate != aggregate:
            raise ValueError(
                f'the decision rules are of scores by {self.aggregate!r}, not {aggregate!r}. Give '
                f'--aggregate {self.aggregate}, or report again with --aggregate {aggregate}'
            )

    def prediction_set(self, scores: np.ndarray) -> tuple[str, ...]:
        """Names of the classes that a scan with these scores, (K,), may be of."""
        held = prediction_sets(scores, np.array([*self.set_thresholds.values()]))
        return tuple(name for name, is_in in zip(self.prior, held) if is_in)

    def correct(self, scores: np.ndarray) -> np.ndarray:
        """Scores of a scan, (K,), as probabilities at the prevalence; as they are without one."""
        if self.prevalence is None:
            return scores
        prior, prevalence = (
            np.array([*shares.values()]) for shares in (self.prior, self.prevalence)
        )
        calibrated = sharpen(log_scores(scores[None]), self.unit_temperature)
        return shift_scores(calibrated, prior, prevalence)[0]
