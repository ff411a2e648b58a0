"""The class of a scan, or of a patient, from what a model says of its slices."""

from .decision_rules import DecisionRules
from .learned import FEATURES, LEARNED, LearnedRule, Slices, choose_rule, relative_heights
from .rules import DEFAULT_RULE, RULES, Rule

__all__ = [
    'DEFAULT_RULE',
    'FEATURES',
    'LEARNED',
    'RULES',
    'DecisionRules',
    'LearnedRule',
    'Rule',
    'Slices',
    'choose_rule',
    'relative_heights',
]
