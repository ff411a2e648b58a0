"""Masks as a DICOM segmentation, for viewers and archives."""
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pydicom
from pydicom.sr.codedict import Code, codes

from mmcovid.ct import CTVolume, to_stored, volume_suffix
from mmcovid.drawing.slices import Color
from mmcovid.utils.files import atomic_path
from mmcovid.version import __version__

from .inputs import Scan
from .outputs import class_mask

#: Segmented property (category, type) and name of each lesion class: Lung of SNOMED CT, ground
#: glass opacity of DICOM (CID 6104), lung consolidation of SNOMED CT.
PROPERTIES = {
    'lung': (codes.SCT.AnatomicalStructure, codes.SCT.Lung),
    'ggo': (codes.SCT.MorphologicallyAbnormalStructure, codes.DCM.GroundGlassOpacity),
    'consolidation': (codes.SCT.MorphologicallyAbnormalStructure,
                      Code('95436008', 'SCT', 'Lung consolidation')),
    'lesion': (codes.SCT.MorphologicallyAbnormalStructure, codes.SCT.Lesion),
}
#: What every DICOM image has, though it may be empty: anonymised files lack some.
_MAY_BE_EMPTY = ('PatientName', 'PatientID', 'PatientBirthDate', 'PatientSex', 'StudyDate',
                 'StudyTime', 'StudyID', 'AccessionNumber', 'ReferringPhysicianName')


def check_dicom_seg(classes: Sequence[str]) -> None:
    """Make sure that segmentations can be written, before hours of prediction.

    Raises:
        ValueError: highdicom is not installed, or a class has no code.
    """
    try:
        import highdicom  # noqa: F401
    except ImportError as error:
        raise ValueError('DICOM segmentations are written by highdicom: pip install '
                         'highdicom') from error
    unknown = [name for name in classes if name not in PROPERTIES]
    if unknown:
        raise ValueError(f'no DICOM code for the classes {unknown}: write no DICOM segmentation, '
                         'or add them to mmcovid.scans.dicom_seg.PROPERTIES')


def check_series(scan: Scan) -> None:
    """Make sure that a segmentation can refer to the images of a scan.

    Raises:
        ValueError: It is no DICOM series.
    """
    if scan.pictures or volume_suffix(scan.path):
        raise ValueError(f'{scan.path}: is no DICOM series, which a DICOM segmentation refers to. '
                         'Predict it without --dicom-seg.')


def write_dicom_seg(labels: np.ndarray, volume: CTVolume, palette: Mapping[str, Color], model: str,
                    weights_hash: str, path: Path) -> None:
    """Write a segmentation with one segment for each class, on the images of the series.

    The lung's segment includes the lesions. Frames of slices without a mask are left out.

    Args:
        labels (np.ndarray): Label map, (Z, H, W) as ``volume.array``.
        volume (CTVolume): Read from a DICOM series.
        palette (Mapping[str, tuple[int, int, int]]): Colours (RGB) of the lesion classes by
            name, in the order of the labels, from 1.
        model (str): Name of the model.
        weights_hash (str): SHA-256 of its weights.
        path (Path): File to write, whole or not at all.

    Raises:
        ValueError: A file of the series lacks a tag that segmentations must refer to.
    """
    import highdicom as hd

    images = [_read_image(file) for file in volume.metadata['files']]
    algorithm = hd.AlgorithmIdentificationSequence(
        name=f'mmcovid {model}'[:64], version=__version__, source='mmcovid',
        family=codes.cid7162.ArtificialIntelligence, parameters=dict(weights_sha256=weights_hash))
    segments = [
        hd.seg.SegmentDescription(
            segment_number=k, segment_label=name,
            segmented_property_category=PROPERTIES[name][0],
            segmented_property_type=PROPERTIES[name][1],
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=algorithm,
            display_color=hd.color.CIELabColor.from_rgb(*color))
        for k, (name, color) in enumerate(palette.items(), 1)]
    stored, classes = to_stored(labels, volume), list(palette)
    masks = np.stack([class_mask(stored, name, classes) for name in classes], axis=-1)
    try:
        segmentation = hd.seg.Segmentation(
            source_images=images, pixel_array=masks.astype(np.uint8),
            segmentation_type=hd.seg.SegmentationTypeValues.BINARY, segment_descriptions=segments,
            series_instance_uid=hd.UID(), series_number=900, sop_instance_uid=hd.UID(),
            instance_number=1, manufacturer='mmcovid', manufacturer_model_name=model[:64],
            software_versions=__version__, device_serial_number=weights_hash[:16],
            content_label='LUNG_LESIONS', omit_empty_frames=bool(masks.any()),
            series_description='mmcovid: research use only')
    except (AttributeError, KeyError, ValueError) as error:
        raise ValueError(f'{volume.metadata["path"]}: no DICOM segmentation can refer to its files '
                         f'({error}). Export the CT with all its tags, or leave out '
                         '--dicom-seg.') from error
    with atomic_path(path) as temporary:
        segmentation.save_as(temporary)


def _read_image(file: str) -> pydicom.Dataset:
    """Header of a slice, with empty tags in place of those that may be empty but not missing."""
    image = pydicom.dcmread(file, stop_before_pixels=True)
    for tag in _MAY_BE_EMPTY:
        if tag not in image:
            setattr(image, tag, '')
    return image
