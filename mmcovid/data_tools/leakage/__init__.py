from .audit import Audit, Finding, audit_splits
from .report import report
from .splits import AuditSplit, splits_of_files

__all__ = [
    'Audit', 'AuditSplit', 'Finding', 'audit_splits', 'report',
    'splits_of_files'
]
