"""Patients and slices that are in more than one split."""

from .audit import Audit, Overlap, audit_splits
from .report import report, write_leakage
from .splits import AuditSplit, splits_of_files

__all__ = [
    'Audit',
    'AuditSplit',
    'Overlap',
    'audit_splits',
    'report',
    'splits_of_files',
    'write_leakage',
]
