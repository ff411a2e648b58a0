"""The patients and scans that slices belong to."""

from collections.abc import Sequence

import numpy as np

from mmcovid.names import UNKNOWN

#: What slices can be grouped into.
UNITS = ('patient', 'scan')


def cluster_names(entries: Sequence[dict]) -> tuple[np.ndarray, int]:
    """The patient of every slice, by which slices are resampled.

    Args:
        entries (Sequence[dict]): n dumped slices.

    Returns:
        tuple[np.ndarray, int]: Names, (n,) str, and the number of slices that tell no patient:
        their scan stands in, or, without one, the slice itself.
    """
    names, without_patient = [], 0
    for entry in entries:
        patient, scan = (str(entry.get(key) or UNKNOWN) for key in ('patient_id', 'scan_id'))
        without_patient += patient == UNKNOWN
        if patient != UNKNOWN:
            names.append(patient)
        else:
            names.append(f'slice {entry["img_id"]}' if scan == UNKNOWN else f'scan {scan}')
    return np.array(names, dtype=str), without_patient


def unit_names(entries: Sequence[dict], unit: str) -> np.ndarray:
    """The patient or scan of every slice, (n,) str; a scan is one of its patient."""
    names, _ = cluster_names(entries)
    if unit == 'patient':
        return names
    scans = [str(entry.get('scan_id') or UNKNOWN) for entry in entries]
    return np.array(
        [name if scan == UNKNOWN else f'{name} / {scan}' for name, scan in zip(names, scans)]
    )
