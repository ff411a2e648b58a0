"""The class of a scan, or of a patient, from what a model says of its slices."""

from .decision_rules import DecisionRules
from .rules import DEFAULT_RULE, RULES, Rule

__all__ = ['DEFAULT_RULE', 'RULES', 'DecisionRules', 'Rule']
