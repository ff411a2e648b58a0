"""What mmcovid gives out, as dataclasses: of a slice, a scan, a report.

:func:`mmcovid.utils.files.write_json` writes them. A name that Python keeps for itself has a
trailing underscore here and none in JSON (``class_``); what is undefined is nan here, null there.
``docs/en/schemas`` has the JSON schemas.
"""

from .attention import AttentionReport, AttentionSet, AttentionSettings
from .estimate import Estimate
from .evaluation import EvaluationReport, EvaluationSettings
from .failure import Failure
from .lesions import LesionReport, LesionSettings
from .scan import (
    ClassVolume,
    Lesion3D,
    Lesions3D,
    LungZone,
    MeasuredLesion,
    MeasuredRoIs,
    ModelInfo,
    ScanClass,
    ScanFamiliarity,
    ScanInfo,
    ScanModel,
    ScanResults,
    ScanSettings,
    ScanSlice,
)
from .slice import Lesions, RoISequence, SliceResult, just_below

__all__ = [
    'AttentionReport',
    'AttentionSet',
    'AttentionSettings',
    'ClassVolume',
    'Estimate',
    'EvaluationReport',
    'EvaluationSettings',
    'Failure',
    'Lesion3D',
    'LesionReport',
    'LesionSettings',
    'Lesions',
    'Lesions3D',
    'LungZone',
    'MeasuredLesion',
    'MeasuredRoIs',
    'ModelInfo',
    'RoISequence',
    'ScanClass',
    'ScanFamiliarity',
    'ScanInfo',
    'ScanModel',
    'ScanResults',
    'ScanSettings',
    'ScanSlice',
    'SliceResult',
    'just_below',
]
