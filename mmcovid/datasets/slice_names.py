"""What the file name of a CT slice tells about it."""
import re
from typing import NamedTuple

UNKNOWN = 'unknown'
IMAGE_CLASSES = ('normal', 'cp', 'covid19')

# COVIDx-CT v1 spells the class out, the lists of the paper's author number it.
_LABELS = {'Normal': 0, 'CP': 1, 'NCP': 2, '0': 0, '1': 1, '2': 2}
_CLASS = re.compile(rf'({"|".join(_LABELS)})_')
_FULL = re.compile(rf'({"|".join(_LABELS)})_([^_]+)_([^_]+)_([^_]+)')


class SliceName(NamedTuple):
    """Parts of a slice's file name; what the name does not tell is ``'unknown'``."""

    label: int | None  #: 0 normal, 1 common pneumonia, 2 COVID-19, or None
    patient_id: str
    scan_id: str
    slice_id: str


def parse_slice_name(name: str) -> SliceName:
    """Read class, patient, scan and slice off a file name.

    Known are ``<class>_<patient>_<scan>_<slice>.<suffix>`` with the class as
    ``Normal``, ``CP``, ``NCP`` (COVIDx-CT v1) or ``0``, ``1``, ``2`` (the lists
    of the paper's author), and names that carry the class only, such as
    iCTCF's ``2_pCT2179.jpg``. Folders before the name are ignored.

    >>> parse_slice_name('NCP_96_1328_0035.png')
    SliceName(label=2, patient_id='96', scan_id='1328', slice_id='0035')
    >>> parse_slice_name('2_pCT2179.jpg')
    SliceName(label=2, patient_id='unknown', scan_id='unknown', slice_id='pCT2179')
    """
    stem = name.rsplit('/', 1)[-1].rsplit('.', 1)[0]
    if match := _FULL.fullmatch(stem):
        label, *rest = match.groups()
        return SliceName(_LABELS[label], *rest)
    if match := _CLASS.match(stem):
        return SliceName(_LABELS[match[1]], UNKNOWN, UNKNOWN, stem[match.end():])
    return SliceName(None, UNKNOWN, UNKNOWN, stem)
