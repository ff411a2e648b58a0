"""Masks as a DICOM segmentation, for viewers and archives."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pydicom
from pydicom.sr.codedict import Code, codes

from mmcovid.classes import Classes
from mmcovid.ct import CTVolume, to_stored
from mmcovid.results import ModelInfo
from mmcovid.utils.escape import dicom_text
from mmcovid.utils.files import atomic_path
from mmcovid.version import __version__

from .dicom_series import equipment, refusal
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


def write_dicom_seg(
    labels: np.ndarray,
    volume: CTVolume,
    images: Sequence[pydicom.Dataset],
    classes: Classes,
    model: ModelInfo,
    path: Path,
) -> 'highdicom.seg.Segmentation':
    """Write a segmentation with one segment for each class, on the images of the series.

    The lung's segment includes the lesions. Frames of slices without a mask are left out. It has
    name and ID of the patient, as DICOM demands, but no comments or descriptions.

    Args:
        labels (np.ndarray): Label map, (Z, H, W) as ``volume.array``.
        volume (CTVolume): Read from a DICOM series.
        images (Sequence[pydicom.Dataset]): Its slices, of
            :func:`~mmcovid.scans.dicom_series.read_images`.
        classes (Classes): Label 1 is the first of its lesion classes.
        model (ModelInfo): What predicted.
        path (Path): File to write, whole or not at all.

    Returns:
        highdicom.seg.Segmentation: What was written.

    Raises:
        ValueError: A file of the series lacks a tag that segmentations must refer to.
    """
    import highdicom as hd

    stored = to_stored(labels, volume)
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
            content_label='LUNG_LESIONS',
            omit_empty_frames=bool(masks.any()),
            **equipment(model),
        )
    except (AttributeError, KeyError, ValueError) as error:
        raise refusal(volume, error) from error
    with atomic_path(path) as temporary:
        segmentation.save_as(temporary)
    return segmentation


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
