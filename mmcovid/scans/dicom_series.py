"""The DICOM series that a scan is, as what is made of it refers to it."""

from typing import Any

import pydicom
from pydicom.datadict import keyword_for_tag

from mmcovid.ct import CTVolume, InputKind, kind_of
from mmcovid.results import ModelInfo
from mmcovid.utils.escape import dicom_text
from mmcovid.version import __version__

from .inputs import Scan

#: What all DICOM objects of mmcovid say of themselves.
RESEARCH_ONLY = 'mmcovid: research use only'
#: What every DICOM image has, though it may be empty: anonymised files lack some.
_MAY_BE_EMPTY = (
    'PatientName',
    'PatientID',
    'PatientBirthDate',
    'PatientSex',
    'StudyDate',
    'StudyTime',
    'StudyID',
    'AccessionNumber',
    'ReferringPhysicianName',
)
#: What images may tell of patient, study and hospital beyond that: their groups, and single tags.
#: Those of the hospital would come with the scanner, which highdicom names where it is known.
_GROUPS_LEFT_OUT = (0x0010, 0x0012, 0x0032, 0x0038, 0x0040)
_LEFT_OUT = (
    'AdmittingDiagnosesDescription',
    'DeviceSerialNumber',
    'InstitutionAddress',
    'InstitutionName',
    'InstitutionalDepartmentName',
    'NameOfPhysiciansReadingStudy',
    'PhysiciansOfRecord',
    'StationName',
    'StudyDescription',
)


def check_series(scan: Scan) -> None:
    """Make sure that DICOM objects can refer to the images of a scan.

    Raises:
        ValueError: It is no DICOM series.
    """
    if scan.pictures or kind_of(scan.path) not in (InputKind.DICOM, InputKind.SERIES):
        raise ValueError(
            f'{scan.path}: is no DICOM series, which DICOM outputs refer to. '
            'Predict it without --dicom-seg, --dicom-sr and --dicom-sc.'
        )


def read_images(volume: CTVolume) -> list[pydicom.Dataset]:
    """Headers of the slices of a series, in the order of the volume."""
    return [_read_image(file) for file in volume.metadata['files']]


def refusal(volume: CTVolume, error: Exception) -> ValueError:
    """What to raise where highdicom cannot make an object of the images of a series."""
    return ValueError(
        f'{volume.metadata["path"]}: no DICOM object can refer to its files '
        f'({error}). Export the CT with all its tags, or leave out '
        '--dicom-seg, --dicom-sr and --dicom-sc.'
    )


def equipment(model: ModelInfo) -> dict[str, Any]:
    """What made an object, as highdicom's classes take it."""
    return dict(
        manufacturer='mmcovid',
        manufacturer_model_name=dicom_text(model.name),
        software_versions=__version__,
        device_serial_number=(model.weights_sha256 or '')[:16],
        series_description=RESEARCH_ONLY,
    )


def _read_image(file: str) -> pydicom.Dataset:
    """Header of a slice: of patient and study it has what every image must have, and no more."""
    image = pydicom.dcmread(file, stop_before_pixels=True)
    for tag in list(image.keys()):
        keyword = keyword_for_tag(tag)
        if keyword in _LEFT_OUT or (tag.group in _GROUPS_LEFT_OUT and keyword not in _MAY_BE_EMPTY):
            del image[tag]
    for keyword in _MAY_BE_EMPTY:
        if keyword not in image:
            setattr(image, keyword, '')
    return image
