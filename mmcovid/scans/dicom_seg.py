"""Masks as a DICOM segmentation, for viewers and archives."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pydicom
from pydicom.datadict import keyword_for_tag
from pydicom.sr.codedict import Code, codes

from mmcovid.classes import Classes
from mmcovid.ct import CTVolume, InputKind, kind_of, to_stored
from mmcovid.results import ModelInfo
from mmcovid.utils.escape import dicom_text
from mmcovid.utils.files import atomic_path
from mmcovid.version import __version__

from .inputs import Scan
from .label_maps import class_mask

if TYPE_CHECKING:
    import highdicom

#: Segmented property (category, type) and name of each lesion class: Lung of SNOMED CT, ground
#: glass opacity of DICOM (CID 6104), lung consolidation of SNOMED CT.
PROPERTIES = {
    'lung': (codes.SCT.AnatomicalStructure, codes.SCT.Lung),
    'ggo': (codes.SCT.MorphologicallyAbnormalStructure, codes.DCM.GroundGlassOpacity),
    'consolidation': (
        codes.SCT.MorphologicallyAbnormalStructure,
        Code('95436008', 'SCT', 'Lung consolidation'),
    ),
    'lesion': (codes.SCT.MorphologicallyAbnormalStructure, codes.SCT.Lesion),
}
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
#: What images may tell of patient and study beyond that: their groups, and single tags.
_GROUPS_LEFT_OUT = (0x0010, 0x0012, 0x0032, 0x0038, 0x0040)
_LEFT_OUT = (
    'AdmittingDiagnosesDescription',
    'NameOfPhysiciansReadingStudy',
    'PhysiciansOfRecord',
    'StudyDescription',
)


def check_dicom_seg(classes: Classes) -> None:
    """Make sure that segmentations can be written, before hours of prediction.

    Raises:
        ValueError: highdicom is not installed, or a class has no code.
    """
    try:
        import highdicom  # noqa: F401
    except ImportError as error:
        raise ValueError(
            'DICOM segmentations are written by highdicom: pip install highdicom'
        ) from error
    unknown = [name for name in classes.lesion_names if name not in PROPERTIES]
    if unknown:
        raise ValueError(
            f'no DICOM code for the classes {unknown}: write no DICOM segmentation, '
            'or add them to mmcovid.scans.dicom_seg.PROPERTIES'
        )


def check_series(scan: Scan) -> None:
    """Make sure that a segmentation can refer to the images of a scan.

    Raises:
        ValueError: It is no DICOM series.
    """
    if scan.pictures or kind_of(scan.path) not in (InputKind.DICOM, InputKind.SERIES):
        raise ValueError(
            f'{scan.path}: is no DICOM series, which a DICOM segmentation refers to. '
            'Predict it without --dicom-seg.'
        )


def write_dicom_seg(
    labels: np.ndarray, volume: CTVolume, classes: Classes, model: ModelInfo, path: Path
) -> None:
    """Write a segmentation with one segment for each class, on the images of the series.

    The lung's segment includes the lesions. Frames of slices without a mask are left out. It has
    name and ID of the patient, as DICOM demands, but no comments or descriptions.

    Args:
        labels (np.ndarray): Label map, (Z, H, W) as ``volume.array``.
        volume (CTVolume): Read from a DICOM series.
        classes (Classes): Label 1 is the first of its lesion classes.
        model (ModelInfo): What predicted.
        path (Path): File to write, whole or not at all.

    Raises:
        ValueError: A file of the series lacks a tag that segmentations must refer to.
    """
    import highdicom as hd

    images = [_read_image(file) for file in volume.metadata['files']]
    stored, weights_hash = to_stored(labels, volume), model.weights_sha256 or ''
    masks = np.stack([class_mask(stored, name, classes) for name in classes.lesion_names], axis=-1)
    try:
        segmentation = hd.seg.Segmentation(
            source_images=images,
            pixel_array=masks.astype(np.uint8),
            segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=_describe_segments(classes, model),
            series_instance_uid=hd.UID(),
            series_number=900,
            sop_instance_uid=hd.UID(),
            instance_number=1,
            manufacturer='mmcovid',
            manufacturer_model_name=dicom_text(model.name),
            software_versions=__version__,
            device_serial_number=weights_hash[:16],
            content_label='LUNG_LESIONS',
            omit_empty_frames=bool(masks.any()),
            series_description='mmcovid: research use only',
        )
    except (AttributeError, KeyError, ValueError) as error:
        raise ValueError(
            f'{volume.metadata["path"]}: no DICOM segmentation can refer to its files '
            f'({error}). Export the CT with all its tags, or leave out '
            '--dicom-seg.'
        ) from error
    with atomic_path(path) as temporary:
        segmentation.save_as(temporary)


def _describe_segments(
    classes: Classes, model: ModelInfo
) -> list['highdicom.seg.SegmentDescription']:
    """A segment for each lesion class, numbered from 1."""
    import highdicom as hd

    algorithm = hd.AlgorithmIdentificationSequence(
        name=dicom_text(f'mmcovid {model.name}'),
        version=__version__,
        source='mmcovid',
        family=codes.cid7162.ArtificialIntelligence,
        parameters=dict(weights_sha256=model.weights_sha256 or ''),
    )
    return [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=lesion.name,
            segmented_property_category=PROPERTIES[lesion.name][0],
            segmented_property_type=PROPERTIES[lesion.name][1],
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=algorithm,
            display_color=hd.color.CIELabColor.from_rgb(*lesion.color),
        )
        for number, lesion in enumerate(classes.lesions, 1)
    ]


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
