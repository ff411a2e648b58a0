"""What the file name of a CT slice tells about it."""

import re
from typing import NamedTuple

from mmcovid.names import UNKNOWN

# COVIDx-CT v1 spells the class out, the lists of the paper's author number it.
_LABELS = {'Normal': 0, 'CP': 1, 'NCP': 2, '0': 0, '1': 1, '2': 2}
_LABEL = f'(?P<label>{"|".join(_LABELS)})'
_PART = '[^_]+'
# Sources of COVIDx-CT, whose names the scripts that build COVIDx-CT 2 and 3 make (COVIDNet-CT,
# dataset_construction/). A scan is a volume, and the name of a volume begins with its patient.
_PATTERNS = {
    'CNCB': rf'{_LABEL}_(?P<patient>{_PART})_(?P<scan>{_PART})_(?P<slice>{_PART})',
    # a patient's volumes are numbered _0, _1, named by the day, or _ct of the COVID-19-20 challenge
    'TCIA': r'(?P<scan>(?P<patient>volume-covid19-A-\d+)(?:_\w+)?)-(?P<slice>\d+)',
    'LIDC-IDRI': r'(?P<patient>LIDC-IDRI-\d+)-(?P<scan>[\d.]+)-(?P<slice>\d+)',
    'COVID-CTSet': r'(?P<patient>[^_]+_patient\d+)_(?P<scan>SR_\d+)_(?P<slice>IM\d+)',
    'Radiopaedia': r'(?P<patient>radiopaedia-\d+)-(?P<scan>\d+-\d+)-(?P<slice>\d+)',
    'COVID-19-CT-Seg': r'(?:(?P<patient>radiopaedia_\d+)_(?P<scan>\d+_\d+)'
    r'|(?P<case>coronacases_\d+))-(?P<slice>\d+)',
    'iCTCF': r'(?P<patient>HUST-Patient\d+)-(?P<slice>\d+)',
    'COVID-CT-MD': r'(?P<patient>COVIDCTMD-[^-_]+)-(?P<slice>[^-_]+)',
    'STOIC': r'(?P<patient>STOIC-\d+)-(?P<slice>\d+)',
    'Stony Brook': r'(?P<patient>A\d{6})-(?P<scan>.+-\d+)-(?P<slice>\d+)',
    'MosMed': r'(?P<patient>study_\d+)-(?P<slice>\d+)',
}
_SOURCES = {name: re.compile(pattern) for name, pattern in _PATTERNS.items()}
_CLASS = re.compile(rf'{_LABEL}_')


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
    of the paper's author), the names of the other sources of COVIDx-CT 2 and 3,
    which tell no class, and names that carry the class only, such as iCTCF's
    ``2_pCT2179.jpg``. Folders before the name are ignored.

    >>> parse_slice_name('NCP_96_1328_0035.png')
    SliceName(label=2, patient_id='96', scan_id='1328', slice_id='0035')
    >>> parse_slice_name('volume-covid19-A-0698_ct-0017.png')[1:]
    ('volume-covid19-A-0698', 'volume-covid19-A-0698_ct', '0017')
    >>> parse_slice_name('2_pCT2179.jpg')
    SliceName(label=2, patient_id='unknown', scan_id='unknown', slice_id='pCT2179')
    """
    stem = _stem(name)
    for pattern in _SOURCES.values():
        if match := pattern.fullmatch(stem):
            parts = match.groupdict()
            patient = parts['patient'] or parts['case']
            # sources with one scan a patient name none
            return SliceName(
                _LABELS.get(parts.get('label') or ''),
                patient,
                parts.get('scan') or patient,
                parts['slice'],
            )
    if match := _CLASS.match(stem):
        return SliceName(_LABELS[match['label']], UNKNOWN, UNKNOWN, stem[match.end() :])
    return SliceName(None, UNKNOWN, UNKNOWN, stem)


def slice_source(name: str) -> str:
    """The collection that a slice of COVIDx-CT comes from, or ``'unknown'``.

    >>> slice_source('LIDC-IDRI-0009-1.3.6.1-0035.png')
    'LIDC-IDRI'
    """
    stem = _stem(name)
    return next(
        (source for source, pattern in _SOURCES.items() if pattern.fullmatch(stem)), UNKNOWN
    )


def other_spelling(name: str) -> str | None:
    """Turn the author's ``2_96_1328_0035.png`` into COVIDx-CT's ``NCP_96_1328_0035.png`` or back.

    Returns:
        str or None: The name, or None if it is of neither form.
    """
    folder, mark, base = name.rpartition('/')
    label, _, rest = base.partition('_')
    if not _SOURCES['CNCB'].fullmatch(_stem(name)):
        return None
    (other,) = (
        each for each, number in _LABELS.items() if number == _LABELS[label] and each != label
    )
    return f'{folder}{mark}{other}_{rest}'


def _stem(name: str) -> str:
    return name.rsplit('/', 1)[-1].rsplit('.', 1)[0]
